// Greets whoever it is asked to greet, with the words of a file that its manifest lets it read.
//
// "<file> <name>" -> "<first line of the file>, <name>"
#include "airssys_actor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char answer[1024];

answer_t handle(message_t message) {
  char request[512];
  if (message.body.kind != BODY_TEXT || message.body.bytes.size >= sizeof request)
    return (answer_t){ANSWER_ERROR, TEXT("say a file and a name, in fewer than 512 bytes")};
  memcpy(request, message.body.bytes.data, message.body.bytes.size);
  request[message.body.bytes.size] = 0;
  char *name = strchr(request, ' ');
  if (!name) return (answer_t){ANSWER_ERROR, TEXT("say a file and a name")};
  *name++ = 0;

  char greeting[256];
  FILE *file = fopen(request, "r");
  if (!file) {
    int size = snprintf(answer, sizeof answer, "the greeting cannot be read: %s", strerror(errno));
    return (answer_t){ANSWER_ERROR, {answer, (size_t)size}};
  }
  size_t read = fread(greeting, 1, sizeof greeting - 1, file);
  fclose(file);
  greeting[read] = 0;
  greeting[strcspn(greeting, "\n")] = 0;
  int size = snprintf(answer, sizeof answer, "%s, %s", greeting, name);
  return (answer_t){ANSWER_TEXT, {answer, (size_t)size}};
}
