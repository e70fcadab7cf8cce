// "spin" never returns. Any other message is answered with "still here".
#define AIRSSYS_FREESTANDING
#include "airssys_actor.h"

static volatile uint32_t turns;

answer_t handle(message_t message) {
  while (is_text(message.body.bytes, "spin")) turns++;
  return (answer_t){ANSWER_TEXT, TEXT("still here")};
}
