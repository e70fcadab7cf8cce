// Sends the largest things it can, as often as it can, wherever it may send anything.
//
// "send" floods another component's mailbox, "log" the log, "store" the storage, "keys" the storage's names, "reply" the
// one who asks; each goes on with larger pieces until it is refused or has sent the largest. The answer counts them.
#define AIRSSYS_FREESTANDING
#include "airssys_host.h"

#define LARGEST (32u << 20)
#define ROUNDS 200
#define VICTIM TEXT("greeter")

static char piece[LARGEST];
static char answer[64];

static bytes_t count(const char *what, uint32_t number) {
  size_t size = 0;
  while (*what) answer[size++] = *what++;
  char digits[10];
  size_t digit = 0;
  do digits[digit++] = (char)('0' + number % 10);
  while (number /= 10);
  while (digit) answer[size++] = digits[--digit];
  return (bytes_t){answer, size};
}

static uint32_t flood_mailbox(void) {
  uint32_t sent = 0;
  for (size_t size = 16; size <= LARGEST; size *= 4)
    for (uint32_t round = 0; round < ROUNDS; round++)
      if (send(VICTIM, (body_t){BODY_BINARY, {piece, size}}) == SENT) sent++;
  return sent;
}

static uint32_t flood_log(void) {
  uint32_t written = 0;
  for (size_t size = 16; size <= LARGEST; size *= 4)
    for (uint32_t round = 0; round < ROUNDS; round++, written++)
      write_log(LOG_CRITICAL, TEXT("flood"), (bytes_t){piece, size});
  return written;
}

static uint32_t flood_storage(bool by_key) {
  uint32_t stored = 0;
  bucket_t bucket;
  if (open_bucket(TEXT("default"), &bucket) != STORED) return 0;
  for (size_t size = 16; size <= LARGEST; size *= 4)
    for (uint32_t round = 0; round < ROUNDS; round++) {
      piece[0] = (char)('a' + round % 26);
      piece[1] = (char)('a' + round / 26);
      bytes_t whole = {piece, size}, start = {piece, 2};
      if (store_value(bucket, by_key ? whole : start, by_key ? start : whole) == STORED) stored++;
    }
  return stored;
}

answer_t handle(message_t message) {
  for (size_t i = 0; i < LARGEST; i += 4096)
    for (size_t j = 0; j < 4096; j++) piece[i + j] = 'x';
  bytes_t wish = message.body.bytes;
  if (is_text(wish, "send")) return (answer_t){ANSWER_TEXT, count("messages sent: ", flood_mailbox())};
  if (is_text(wish, "log")) return (answer_t){ANSWER_TEXT, count("lines written: ", flood_log())};
  if (is_text(wish, "store")) return (answer_t){ANSWER_TEXT, count("values stored: ", flood_storage(false))};
  if (is_text(wish, "keys")) return (answer_t){ANSWER_TEXT, count("keys stored: ", flood_storage(true))};
  if (is_text(wish, "reply")) return (answer_t){ANSWER_BINARY, {piece, LARGEST}};
  return (answer_t){ANSWER_TEXT, TEXT("what shall be flooded?")};
}
