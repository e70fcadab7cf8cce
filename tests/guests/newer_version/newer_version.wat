;; An actor built against a version of WASI that is newer than the host's.
(module
  (import "wasi:random/random@0.9.0" "get-random-u64" (func (result i64)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "airssys:actor/handler@0.1.0#handle") (param i32 i32 i32 i32 i32 i32) (result i32)
    unreachable))
