// Does as little as a guest can, so that what is measured is the host.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define HOST "perf:bench/host@1.0.0"

IMPORT(HOST, "nothing") int32_t nothing(int32_t x);
IMPORT(HOST, "check") int32_t check(const char *path, size_t size);

static bytes_t returned;

EXPORT("add") int32_t add(int32_t a, int32_t b) { return a + b; }

EXPORT("echo-bytes") void *echo_bytes(char *data, size_t size) {
  returned = (bytes_t){data, size};
  return &returned;
}
EXPORT("cabi_post_echo-bytes") void post_echo_bytes(void *result) {
  (void)result;
  release_all();
}

EXPORT("nothing-n") int32_t nothing_n(int32_t n) {
  int32_t last = 0;
  while (n--) last = nothing(last);
  return last;
}

EXPORT("check-n") int32_t check_n(int32_t n) {
  bytes_t path = TEXT("/var/lib/app/data/config.toml");
  int32_t granted = 0;
  while (n--) granted += check(path.data, path.size);
  return granted;
}
