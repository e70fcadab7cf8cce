;; An actor that needs an interface of which no host has heard.
(module
  (import "acme:secret/vault@1.4.0" "open" (func (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "airssys:actor/handler@0.1.0#handle") (param i32 i32 i32 i32 i32 i32) (result i32)
    unreachable))
