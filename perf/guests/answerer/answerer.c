// The other half of the pair: answers.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define PEER "perf:pair/peer@1.0.0"

EXPORT(PEER "#add") int32_t add(int32_t a, int32_t b) { return a + b; }

EXPORT(PEER "#length") int32_t length(const char *text, size_t size) {
  (void)text;
  release_all();
  return (int32_t)size;
}
