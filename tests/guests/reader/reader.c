// Reads what a message tells it to, in several ways, and answers with the content or with why not.
//
// "fopen <path>"   through the C library's streams
// "open <path>"    through its descriptors
// "raw <path>"     the path as it is, to the first folder that the host opened, following a link at its end
// "nofollow <path>"  the same, not following
// "stat <path>"    the size, in digits
// An error's text is its name as the C library's number gives it: "ENOENT", "EACCES", ...; others "errno <number>".
#include "airssys_actor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

#define FIRST_PREOPEN 3

static char content[1 << 20], text[64];

static answer_t failed(int number) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
      {ENOENT, "ENOENT"}, {EACCES, "EACCES"},   {EPERM, "EPERM"},   {ENOTDIR, "ENOTDIR"},       {EISDIR, "EISDIR"},
      {ELOOP, "ELOOP"},   {EINVAL, "EINVAL"},   {EBADF, "EBADF"},   {ENAMETOOLONG, "ENAMETOOLONG"}, {EIO, "EIO"},
      {EILSEQ, "EILSEQ"}, {ENOTSUP, "ENOTSUP"}, {EMFILE, "EMFILE"}, {ENOTCAPABLE, "ENOTCAPABLE"},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].number == number) return (answer_t){ANSWER_ERROR, {names[i].name, strlen(names[i].name)}};
  int size = snprintf(text, sizeof text, "errno %d", number);
  return (answer_t){ANSWER_ERROR, {text, (size_t)size}};
}

static answer_t read_all(int file) {
  size_t size = 0;
  ssize_t got;
  while (size < sizeof content && (got = read(file, content + size, sizeof content - size)) > 0) size += (size_t)got;
  int number = got < 0 ? errno : 0;
  close(file);
  return number ? failed(number) : (answer_t){ANSWER_BINARY, {content, size}};
}

static answer_t raw(const char *path, __wasi_lookupflags_t lookup) {
  __wasi_fd_t file;
  __wasi_errno_t number = __wasi_path_open(FIRST_PREOPEN, lookup, path, 0,
                                           __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_SEEK, 0, 0, &file);
  return number ? failed(number) : read_all((int)file);
}

answer_t handle(message_t message) {
  static char request[8192];
  if (message.body.bytes.size >= sizeof request) return failed(ENAMETOOLONG);
  memcpy(request, message.body.bytes.data, message.body.bytes.size);
  request[message.body.bytes.size] = 0;
  char *path = strchr(request, ' ');
  if (!path) return failed(EINVAL);
  *path++ = 0;
  if (!strcmp(request, "raw")) return raw(path, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW);
  if (!strcmp(request, "nofollow")) return raw(path, 0);
  if (!strcmp(request, "open")) {
    int file = open(path, O_RDONLY);
    return file < 0 ? failed(errno) : read_all(file);
  }
  if (!strcmp(request, "fopen")) {
    FILE *file = fopen(path, "rb");
    if (!file) return failed(errno);
    size_t size = fread(content, 1, sizeof content, file);
    int number = ferror(file) ? errno : 0;
    fclose(file);
    return number ? failed(number) : (answer_t){ANSWER_BINARY, {content, size}};
  }
  if (!strcmp(request, "stat")) {
    struct stat found;
    if (stat(path, &found)) return failed(errno);
    int size = snprintf(text, sizeof text, "%lld", (long long)found.st_size);
    return (answer_t){ANSWER_TEXT, {text, (size_t)size}};
  }
  return failed(EINVAL);
}
