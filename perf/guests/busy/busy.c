// Never comes back: computes, or sends the same large value again and again.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define SINK "perf:busy/sink@1.0.0"
#define MOST (1u << 20)

IMPORT(SINK, "octets") void sink_octets(const void *values, size_t count);
IMPORT(SINK, "text") void sink_text(const void *value, size_t size);
IMPORT(SINK, "numbers") void sink_numbers(const void *values, size_t count);
IMPORT(SINK, "doubles") void sink_doubles(const void *values, size_t count);
IMPORT(SINK, "words") void sink_words(const void *values, size_t count);
IMPORT(SINK, "readings") void sink_readings(const void *values, size_t count);

static union {
  unsigned char bytes[MOST];
  bytes_t words[MOST / sizeof(bytes_t)];
  struct {
    uint32_t id;
    double value;
    bytes_t place;
  } readings[MOST / 24];
} piece;
static volatile uint32_t turns;

EXPORT("spin") void spin(void) {
  for (;;) turns++;
}
EXPORT("octets") void octets(uint32_t size) {
  for (;;) sink_octets(piece.bytes, size);
}
// Two bytes for each character: the most work for the decoder.
EXPORT("text") void text(uint32_t size) {
  for (uint32_t i = 0; i < size; i += 2) piece.bytes[i] = 0xc3, piece.bytes[i + 1] = 0xa9;
  for (;;) sink_text(piece.bytes, size);
}
EXPORT("numbers") void numbers(uint32_t count) {
  for (uint32_t i = 0; i < count * 4; i++) piece.bytes[i] = 0x55;
  for (;;) sink_numbers(piece.bytes, count);
}
EXPORT("doubles") void doubles(uint32_t count) {
  for (uint32_t i = 0; i < count * 8; i++) piece.bytes[i] = 0x55;
  for (;;) sink_doubles(piece.bytes, count);
}
EXPORT("words") void words(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) piece.words[i] = TEXT("word");
  for (;;) sink_words(piece.words, count);
}
EXPORT("readings") void readings(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) piece.readings[i].place = TEXT("here"), piece.readings[i].id = i;
  for (;;) sink_readings(piece.readings, count);
}
