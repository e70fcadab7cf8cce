// Tries to read /etc/passwd in every way it knows, and says what it got.
//
// "<its own folder>" -> one line an attempt: "<how>: got <bytes>" or "<how>: <why not>". Whoever runs it believes none of
// this: what it really got is in the audit.
#include "airssys_actor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

#define TARGET "etc/passwd"
#define FIRST_PREOPEN 3

static char report[8192];
static size_t reported;

static void say(const char *how, long got, const char *reason) {
  size_t room = sizeof report - reported;
  int size = got >= 0 ? snprintf(report + reported, room, "%s: got %ld bytes\n", how, got)
                      : snprintf(report + reported, room, "%s: %s\n", how, reason);
  if (size > 0 && (size_t)size < room) reported += (size_t)size;
}

static void through_stdio(const char *how, const char *path) {
  char loot[4096];
  FILE *file = fopen(path, "r");
  if (!file) return say(how, -1, strerror(errno));
  size_t got = fread(loot, 1, sizeof loot, file);
  int failed = ferror(file) ? errno : 0;
  fclose(file);
  say(how, failed ? -1 : (long)got, strerror(failed));
}

static void through_open(const char *how, const char *path, int flags) {
  char loot[4096];
  int file = open(path, flags);
  if (file < 0) return say(how, -1, strerror(errno));
  ssize_t got = read(file, loot, sizeof loot);
  int failed = got < 0 ? errno : 0;
  close(file);
  say(how, got, strerror(failed));
}

// Below the C library: the path goes to the host as it is, whatever the library thinks of it.
static void through_descriptor(const char *how, __wasi_fd_t folder, const char *path, __wasi_lookupflags_t lookup) {
  char loot[4096];
  __wasi_fd_t file;
  __wasi_errno_t failed = __wasi_path_open(folder, lookup, path, 0, __WASI_RIGHTS_FD_READ, 0, 0, &file);
  if (failed) return say(how, -1, strerror(failed));
  __wasi_iovec_t into = {(uint8_t *)loot, sizeof loot};
  __wasi_size_t got = 0;
  failed = __wasi_fd_read(file, &into, 1, &got);
  if (__wasi_fd_close(file)) {
    // A descriptor that does not close is of no use to a thief.
  }
  say(how, failed ? -1 : (long)got, strerror(failed));
}

answer_t handle(message_t message) {
  char folder[512], path[1024];
  if (message.body.kind != BODY_TEXT || message.body.bytes.size >= sizeof folder)
    return (answer_t){ANSWER_ERROR, TEXT("say a folder, in fewer than 512 bytes")};
  memcpy(folder, message.body.bytes.data, message.body.bytes.size);
  folder[message.body.bytes.size] = 0;
  reported = 0;

  through_stdio("fopen, directly", "/" TARGET);
  through_open("open, directly", "/" TARGET, O_RDONLY);
  through_open("open for writing", "/" TARGET, O_RDWR);

  const char *up = "../../../../../../../../../../../../" TARGET;
  snprintf(path, sizeof path, "%s/%s", folder, up);
  through_stdio("fopen, by .. from its own folder", path);
  through_stdio("fopen, by .. from nowhere", up);
  snprintf(path, sizeof path, "%s/./innocent.txt/../%s", folder, up);
  through_open("open, by .. through a link", path, O_RDONLY);

  snprintf(path, sizeof path, "%s/innocent.txt", folder);
  through_stdio("fopen, by a link left in its folder", path);
  through_open("open, by the link, unfollowed", path, O_RDONLY | O_NOFOLLOW);
  snprintf(path, sizeof path, "%s/outside/%s", folder, TARGET);
  through_stdio("fopen, by a linked folder", path);

  // Straight through each folder the host opened for it.
  for (__wasi_fd_t folder_descriptor = FIRST_PREOPEN; folder_descriptor < FIRST_PREOPEN + 4; folder_descriptor++) {
    __wasi_prestat_t preopened;
    if (__wasi_fd_prestat_get(folder_descriptor, &preopened)) break;
    through_descriptor("path_open, an absolute path", folder_descriptor, "/" TARGET, 0);
    through_descriptor("path_open, a path without a root", folder_descriptor, TARGET, 0);
    through_descriptor("path_open, by ..", folder_descriptor, up, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW);
    through_descriptor("path_open, the process's own root", folder_descriptor, "proc/self/root/" TARGET,
                       __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW);
  }
  return (answer_t){ANSWER_TEXT, {report, reported}};
}
