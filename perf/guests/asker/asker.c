// One half of a pair of composed components: calls the other again and again.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define PEER "perf:pair/peer@1.0.0"

IMPORT(PEER, "add") int32_t add(int32_t a, int32_t b);
IMPORT(PEER, "length") int32_t length(const char *text, size_t size);

EXPORT("add-n") int32_t add_n(int32_t n) {
  int32_t sum = 0;
  while (n--) sum = add(sum, 1);
  return sum;
}

EXPORT("length-n") int32_t length_n(int32_t n) {
  bytes_t text = TEXT("/var/lib/app/data/config.toml");
  int32_t sum = 0;
  while (n--) sum += length(text.data, text.size);
  return sum;
}
