// A component that uses another one's resource and a host function that may wait. Composed with the ledger it is a bank.
#define AIRSSYS_FREESTANDING
#define AIRSSYS_NO_HANDLER
#include "airssys_actor.h"

#define ACCOUNTS "test:bank/accounts@1.0.0"
#define DESK "test:bank/desk@1.0.0"
#define POST(name) EXPORT("cabi_post_" name) void

typedef struct {
  const void *data;
  size_t size;
} list_t;

typedef struct {
  uint32_t is_error;
  union {
    uint64_t left;
    list_t reason;
  } as;
} result_t;

IMPORT(ACCOUNTS, "[constructor]account") uint32_t account_open(const char *owner, size_t size);
IMPORT(ACCOUNTS, "[method]account.owner") void account_owner(uint32_t account, list_t *owner);
IMPORT(ACCOUNTS, "[method]account.deposit") uint64_t account_deposit(uint32_t account, uint64_t cents);
IMPORT(ACCOUNTS, "[method]account.history") void account_history(uint32_t account, list_t *history);
IMPORT(ACCOUNTS, "[static]account.count") uint32_t account_count(void);
IMPORT(ACCOUNTS, "[resource-drop]account") void account_drop(uint32_t account);
IMPORT(ACCOUNTS, "transfer") void account_transfer(uint32_t giver, uint32_t taker, uint64_t cents, result_t *result);
IMPORT(ACCOUNTS, "close") uint64_t account_close(uint32_t account);
IMPORT(ACCOUNTS, "spin") void account_spin(void);
IMPORT("test:bank/rates@1.0.0", "rate") uint32_t rates_rate(const char *currency, size_t size);

static list_t returned;
static result_t moved;

// The number that the host sees is the handle itself, so that the host can also give one that does not exist.
EXPORT(DESK "#open") uint32_t desk_open(const char *owner, size_t size, uint64_t cents) {
  uint32_t account = account_open(owner, size);
  account_deposit(account, cents);
  release_all();
  return account;
}
EXPORT(DESK "#owner") void *desk_owner(uint32_t account) {
  account_owner(account, &returned);
  return &returned;
}
POST(DESK "#owner") after_owner(void *result) { (void)result; release_all(); }
EXPORT(DESK "#deposit") uint64_t desk_deposit(uint32_t account, uint64_t cents) {
  return account_deposit(account, cents);
}
EXPORT(DESK "#statement") void *desk_statement(uint32_t account) {
  account_history(account, &returned);
  return &returned;
}
POST(DESK "#statement") after_statement(void *result) { (void)result; release_all(); }
EXPORT(DESK "#move") void *desk_move(uint32_t giver, uint32_t taker, uint64_t cents) {
  account_transfer(giver, taker, cents, &moved);
  return &moved;
}
POST(DESK "#move") after_move(void *result) { (void)result; release_all(); }
EXPORT(DESK "#close") uint64_t desk_close(uint32_t account) { return account_close(account); }
EXPORT(DESK "#drop") void desk_drop(uint32_t account) { account_drop(account); }
EXPORT(DESK "#count") uint32_t desk_count(void) { return account_count(); }
EXPORT(DESK "#rate") uint32_t desk_rate(const char *currency, size_t size) {
  uint32_t rate = rates_rate(currency, size);
  release_all();
  return rate;
}
EXPORT(DESK "#spin") void desk_spin(void) { account_spin(); }
