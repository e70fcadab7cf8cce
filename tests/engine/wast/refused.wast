;; What is refused by name, and what depends on it: nothing of this passes, and nothing fails.

(component
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "f") async (canon lift (core func $i "f") async)))
(assert_return (invoke "f"))
(assert_trap (invoke "f") "unreachable")
(component definition $Streams (type (stream u8)))
(component instance $streams $Streams)
(assert_return (invoke "f"))
(module (func (export "f")))
(invoke "f")
(thread $t (invoke "f"))
(wait $t)
(component definition (import "a" (implements "a:b/c") (instance)))
(component (component (export "c")))
(component (import "f" (func $f)) (export "g" (func $f)))
(component (core type (shared (func))))
(assert_invalid (component (import "v" (value u8)) (export "f" (func 0))) "unknown function")
(component (import "host" (instance (export "simple-module" (core module)))))
(assert_unlinkable
  (component (import "host" (instance (export "simple-module" (core module (export "nowhere" (func)))))))
  "not defined")
