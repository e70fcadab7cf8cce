// Calls host functions that wait, in the middle of computing, and with results that need memory.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define HOST "test:waits/host@1.0.0"
#define GUEST "test:waits/guest@1.0.0"

IMPORT(HOST, "number") uint32_t host_number(uint32_t n);
IMPORT(HOST, "text") void host_text(const char *text, size_t size, bytes_t *result);
IMPORT(HOST, "bytes") void host_bytes(uint32_t size, bytes_t *result);

static bytes_t returned;
static volatile uint64_t turn;

EXPORT(GUEST "#numbers") uint32_t numbers(uint32_t n) {
  uint32_t last = 0;
  while (n--) last = host_number(last);
  return last;
}
EXPORT(GUEST "#text") void *text(const char *data, size_t size) {
  host_text(data, size, &returned);
  return &returned;
}
EXPORT(GUEST "#bytes") uint64_t bytes(uint32_t n, uint32_t size) {
  uint64_t all = 0;
  while (n--) {
    release_all();
    host_bytes(size, &returned);
    all += returned.size;
  }
  release_all();
  return all;
}
EXPORT(GUEST "#fetch") void *fetch(uint32_t size) {
  host_bytes(size, &returned);
  return &returned;
}
EXPORT(GUEST "#compute-wait-compute") uint64_t compute_wait_compute(uint64_t turns) {
  for (turn = 0; turn < turns;) turn++;
  uint32_t answer = host_number((uint32_t)turn);
  for (turn = 0; turn < turns;) turn++;
  return turn + answer;
}
EXPORT(GUEST "#spin") void spin(void) {
  for (;;) turn++;
}
EXPORT("cabi_post_" GUEST "#text") void post_text(void *result) { (void)result; release_all(); }
EXPORT("cabi_post_" GUEST "#fetch") void post_fetch(void *result) { (void)result; release_all(); }
