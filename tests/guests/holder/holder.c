// Opens a file, keeps it from message to message, and reads it again and again.
//
// "open <path>"  opens it, in place of the one before
// "read"         reads it from its start; answers with its content, or with the error's name
// "crash"        traps
#include "airssys_actor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char content[4096], text[64];
static int kept = -1;

static answer_t failed(int number) {
  const char *name = number == EBADF ? "EBADF" : number == EACCES ? "EACCES" : number == EPERM ? "EPERM" : text;
  if (name == text) snprintf(text, sizeof text, "errno %d", number);
  return (answer_t){ANSWER_ERROR, {name, strlen(name)}};
}

answer_t handle(message_t message) {
  static char request[4096];
  if (message.body.bytes.size >= sizeof request) return failed(ENAMETOOLONG);
  memcpy(request, message.body.bytes.data, message.body.bytes.size);
  request[message.body.bytes.size] = 0;
  if (!strcmp(request, "crash")) __builtin_trap();
  if (!strncmp(request, "open ", 5)) {
    if (kept >= 0) close(kept);
    kept = open(request + 5, O_RDONLY);
    return kept < 0 ? failed(errno) : (answer_t){ANSWER_TEXT, {"open", 4}};
  }
  ssize_t got = pread(kept, content, sizeof content, 0);
  return got < 0 ? failed(errno) : (answer_t){ANSWER_BINARY, {content, (size_t)got}};
}
