// The bench guest as a plug-in of Extism, over the functions that its kernel gives to plug-ins.
//
// Bytes are copied between Extism's memory and the guest's own as its C kit does it, eight at a time: that is what a
// plug-in must do before it can work on them. The string of a host call lies in Extism's memory once and for all.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define KERNEL "extism:host/env"
#define USER "extism:host/user"

IMPORT(KERNEL, "input_length") uint64_t input_length(void);
IMPORT(KERNEL, "input_load_u8") uint32_t input_load_u8(uint64_t offset);
IMPORT(KERNEL, "input_load_u64") uint64_t input_load_u64(uint64_t offset);
IMPORT(KERNEL, "alloc") uint64_t alloc(uint64_t size);
IMPORT(KERNEL, "store_u8") void store_u8(uint64_t offset, uint32_t byte);
IMPORT(KERNEL, "store_u64") void store_u64(uint64_t offset, uint64_t bytes);
IMPORT(KERNEL, "output_set") void output_set(uint64_t offset, uint64_t size);
IMPORT(USER, "nothing") uint64_t nothing(uint64_t x);
IMPORT(USER, "check") uint64_t check(uint64_t path);

#define MOST (1u << 20)
#define CALLS 1000

static union {
  unsigned char bytes[MOST];
  uint64_t words[MOST / 8];
} own;

EXPORT("add") int32_t add(void) { return 0; }

EXPORT("echo_bytes") int32_t echo_bytes(void) {
  uint64_t size = input_length(), at = 0;
  if (size > MOST) return 1;
  for (; at + 8 <= size; at += 8) own.words[at / 8] = input_load_u64(at);
  for (; at < size; at++) own.bytes[at] = (unsigned char)input_load_u8(at);
  uint64_t out = alloc(size);
  for (at = 0; at + 8 <= size; at += 8) store_u64(out + at, own.words[at / 8]);
  for (; at < size; at++) store_u8(out + at, own.bytes[at]);
  output_set(out, size);
  return 0;
}

EXPORT("nothing_1000") int32_t nothing_1000(void) {
  uint64_t last = 0;
  for (int call = 0; call < CALLS; call++) last = nothing(last);
  return 0;
}

EXPORT("check_1000") int32_t check_1000(void) {
  bytes_t path = TEXT("/var/lib/app/data/config.toml");
  uint64_t at = alloc(path.size), granted = 0;
  for (size_t i = 0; i < path.size; i++) store_u8(at + i, (unsigned char)path.data[i]);
  for (int call = 0; call < CALLS; call++) granted += check(at);
  return granted != CALLS;
}
