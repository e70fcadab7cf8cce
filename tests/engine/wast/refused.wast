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
