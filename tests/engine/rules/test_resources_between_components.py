"""Resources that pass between components of one composition. CanonicalABI.md: Table State (one table for each component
instance), lift_own, lift_borrow, lower_own, lower_borrow, ``canon resource.drop``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from both import Both, Pair
from wasmtime import WasmtimeError, wat2wasm

from airssys_actors.engine.engine import Engine
from airssys_actors.errors import ComponentInvalid, GuestTrap, InstanceConsumed

Make = Callable[..., Both]

# ``maker`` implements the resource, ``user`` holds it, ``reader`` is only lent it. Each shows its own numbers: what it
# calls a handle is a number in its own table.
_COMPOSED = """(component
  (import "told" (func $told (param "rep" u32)))
  (component $Maker
    (import "told" (func $told (param "rep" u32)))
    (core func $told' (canon lower (func $told)))
    (core module $d (import "h" "told" (func $told (param i32))) (func (export "dtor") (param i32)
      (call $told (local.get 0))))
    (core instance $d (instantiate $d (with "h" (instance (export "told" (func $told'))))))
    (alias core export $d "dtor" (core func $dtor))
    (type $r' (resource (rep i32) (dtor (core func $dtor))))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r')) (core func $rep (canon resource.rep $r'))
    (core func $drop (canon resource.drop $r'))
    (core module $m (import "h" "new" (func $new (param i32) (result i32))) (import "h" "drop" (func $drop (param i32)))
      (import "h" "rep" (func $rep (param i32) (result i32)))
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))
      (func (export "same") (param i32) (result i32) (local.get 0))
      (func (export "both") (param i32 i32) (result i32)
        (i32.add (i32.mul (i32.const 100) (local.get 0)) (local.get 1)))
      (func (export "fail") (param i32) unreachable))
    (core instance $i (instantiate $m (with "h" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (func (export "make") (param "rep" u32) (result (own $r)) (canon lift (core func $i "new")))
    (func (export "new") (param "rep" u32) (result u32) (canon lift (core func $i "new")))
    (func (export "rep") (param "h" u32) (result u32) (canon lift (core func $i "rep")))
    (func (export "drop") (param "h" u32) (canon lift (core func $i "drop")))
    (func (export "give") (param "h" u32) (result (own $r)) (canon lift (core func $i "same")))
    (func (export "look") (param "x" (borrow $r)) (result u32) (canon lift (core func $i "same")))
    (func (export "eat") (param "x" (own $r)) (result u32) (canon lift (core func $i "same")))
    (func (export "look-and-eat") (param "x" (borrow $r)) (param "y" (own $r)) (result u32)
      (canon lift (core func $i "both")))
    (func (export "eat-and-look") (param "x" (own $r)) (param "y" (borrow $r)) (result u32)
      (canon lift (core func $i "both")))
    (func (export "look-two") (param "x" (borrow $r)) (param "y" (borrow $r)) (result u32)
      (canon lift (core func $i "both")))
    (func (export "look-and-fail") (param "x" (borrow $r)) (canon lift (core func $i "fail"))))
  (instance $maker (instantiate $Maker (with "told" (func $told))))
  (component $Reader
    (import "maker" (instance $maker (export "r" (type $r (sub resource)))
      (export "look" (func (param "x" (borrow $r)) (result u32)))
      (export "eat" (func (param "x" (own $r)) (result u32)))))
    (alias export $maker "r" (type $r))
    (core func $look (canon lower (func $maker "look"))) (core func $eat (canon lower (func $maker "eat")))
    (core func $drop (canon resource.drop $r))
    (core module $m (import "h" "look" (func $look (param i32) (result i32)))
      (import "h" "drop" (func $drop (param i32))) (import "h" "eat" (func $eat (param i32) (result i32)))
      (func (export "handle") (param i32) (result i32) (call $drop (local.get 0)) (local.get 0))
      (func (export "look") (param i32) (result i32) (call $look (local.get 0)) (call $drop (local.get 0)))
      (func (export "keep") (param i32) (result i32) (local.get 0))
      (func (export "eat") (param i32) (result i32) (call $eat (local.get 0))))
    (core instance $i (instantiate $m (with "h" (instance (export "look" (func $look)) (export "eat" (func $eat))
      (export "drop" (func $drop))))))
    (export $r' "r" (type $r))
    (func (export "handle") (param "x" (borrow $r')) (result u32) (canon lift (core func $i "handle")))
    (func (export "look") (param "x" (borrow $r')) (result u32) (canon lift (core func $i "look")))
    (func (export "keep") (param "x" (borrow $r')) (result u32) (canon lift (core func $i "keep")))
    (func (export "eat") (param "x" (borrow $r')) (result u32) (canon lift (core func $i "eat"))))
  (instance $reader (instantiate $Reader (with "maker" (instance $maker))))
  (component $User
    (import "maker" (instance $maker (export "r" (type $r (sub resource)))
      (export "make" (func (param "rep" u32) (result (own $r))))
      (export "look" (func (param "x" (borrow $r)) (result u32)))
      (export "eat" (func (param "x" (own $r)) (result u32)))
      (export "look-and-eat" (func (param "x" (borrow $r)) (param "y" (own $r)) (result u32)))
      (export "eat-and-look" (func (param "x" (own $r)) (param "y" (borrow $r)) (result u32)))
      (export "look-two" (func (param "x" (borrow $r)) (param "y" (borrow $r)) (result u32)))
      (export "look-and-fail" (func (param "x" (borrow $r))))))
    (alias export $maker "r" (type $r))
    (import "reader" (instance $reader
      (export "handle" (func (param "x" (borrow $r)) (result u32)))
      (export "look" (func (param "x" (borrow $r)) (result u32)))
      (export "keep" (func (param "x" (borrow $r)) (result u32)))
      (export "eat" (func (param "x" (borrow $r)) (result u32)))))
    (core func $make (canon lower (func $maker "make"))) (core func $look (canon lower (func $maker "look")))
    (core func $eat (canon lower (func $maker "eat")))
    (core func $look-and-eat (canon lower (func $maker "look-and-eat")))
    (core func $eat-and-look (canon lower (func $maker "eat-and-look")))
    (core func $look-two (canon lower (func $maker "look-two")))
    (core func $look-and-fail (canon lower (func $maker "look-and-fail")))
    (core func $read-handle (canon lower (func $reader "handle")))
    (core func $read-look (canon lower (func $reader "look")))
    (core func $read-keep (canon lower (func $reader "keep")))
    (core func $read-eat (canon lower (func $reader "eat")))
    (core func $drop (canon resource.drop $r))
    (func (export "make") (param "rep" u32) (result u32) (canon lift (core func $make)))
    (func (export "look") (param "h" u32) (result u32) (canon lift (core func $look)))
    (func (export "eat") (param "h" u32) (result u32) (canon lift (core func $eat)))
    (func (export "look-and-eat") (param "h" u32) (param "g" u32) (result u32) (canon lift (core func $look-and-eat)))
    (func (export "eat-and-look") (param "h" u32) (param "g" u32) (result u32) (canon lift (core func $eat-and-look)))
    (func (export "look-two") (param "h" u32) (param "g" u32) (result u32) (canon lift (core func $look-two)))
    (func (export "look-and-fail") (param "h" u32) (canon lift (core func $look-and-fail)))
    (func (export "read-handle") (param "h" u32) (result u32) (canon lift (core func $read-handle)))
    (func (export "read-look") (param "h" u32) (result u32) (canon lift (core func $read-look)))
    (func (export "read-keep") (param "h" u32) (result u32) (canon lift (core func $read-keep)))
    (func (export "read-eat") (param "h" u32) (result u32) (canon lift (core func $read-eat)))
    (func (export "drop") (param "h" u32) (canon lift (core func $drop))))
  (instance $user (instantiate $User (with "maker" (instance $maker)) (with "reader" (instance $reader))))
  (export "maker" (instance $maker)) (export "user" (instance $user)) (export "reader" (instance $reader)))
"""


def _composed(both: Make) -> Both:
    return both(_COMPOSED, {"told": lambda log, rep: log.append(rep)})


@pytest.fixture
async def pair(both: Make) -> Pair:
    return await _composed(both).fresh()


# Place: Table State; lift_own, lift_borrow, lower_own, lower_borrow; canon resource.drop


async def test_each_component_instance_has_a_table_of_its_own(pair: Pair) -> None:
    assert await pair.call("user#make", 70) == 1
    assert await pair.call("maker#new", 71) == 1
    assert await pair.call("user#make", 72) == 2
    assert await pair.call("maker#rep", 1) == 71
    assert [await pair.call("user#look", handle) for handle in (1, 2)] == [70, 72]


async def test_a_handle_is_nothing_in_another_component(both: Make) -> None:
    pair = await _composed(both).fresh()
    await pair.call("user#make", 70)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("maker#rep", 1)
    pair = await _composed(both).fresh()
    await pair.call("maker#new", 70)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("user#look", 1)


async def test_a_drop_by_another_component_runs_the_implementer_s_destructor_once(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    await pair.call("user#drop", handle)
    assert pair.log == pair.theirs.log == [70]
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("user#drop", handle)
    assert pair.log == [70]


async def test_destructors_run_in_the_order_in_which_any_component_drops(pair: Pair) -> None:
    first, second = await pair.call("user#make", 70), await pair.call("user#make", 71)
    own = await pair.call("maker#new", 72)
    await pair.call("user#drop", second)
    await pair.call("maker#drop", own)
    await pair.call("user#drop", first)
    assert pair.log == [71, 72, 70]


async def test_giving_a_resource_back_to_its_implementer_moves_it_and_destroys_nothing(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    mine = await pair.call("user#eat", handle)
    assert (mine, await pair.call("maker#rep", mine)) == (1, 70)
    assert pair.log == []
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("user#look", handle)


async def test_an_implementer_that_is_lent_its_own_resource_gets_its_number(pair: Pair) -> None:
    assert await pair.call("user#look", await pair.call("user#make", 70)) == 70
    assert await pair.call("maker#new", 71) == 1


async def test_another_component_that_is_lent_a_resource_gets_a_handle_and_must_drop_it(both: Make) -> None:
    pair = await _composed(both).fresh()
    for rep in (70, 71):
        handle = await pair.call("user#make", rep)
    assert await pair.call("user#read-handle", handle) == 1
    assert await pair.call("user#look", handle) == 71
    with pytest.raises(GuestTrap, match="borrow handles still remain at the end of the call"):
        await pair.call("user#read-keep", handle)


async def test_dropping_what_was_lent_runs_no_destructor(pair: Pair) -> None:
    await pair.call("user#read-handle", await pair.call("user#make", 70))
    assert pair.log == []


async def test_what_was_lent_may_be_lent_on_to_its_implementer(pair: Pair) -> None:
    assert await pair.call("user#read-look", await pair.call("user#make", 70)) == 70


async def test_what_was_lent_cannot_be_given_away(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    with pytest.raises(GuestTrap, match="cannot lift own resource from a borrow"):
        await pair.call("user#read-eat", handle)


async def test_a_handle_cannot_be_given_away_in_the_call_that_it_is_lent_to(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    with pytest.raises(GuestTrap, match="cannot remove owned resource while borrowed"):
        await pair.call("user#look-and-eat", handle, handle)


async def test_a_handle_cannot_be_lent_after_it_was_given_away_in_the_same_call(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    with pytest.raises(GuestTrap, match="unknown handle index 1"):
        await pair.call("user#eat-and-look", handle, handle)


async def test_a_loan_ends_with_its_call(pair: Pair) -> None:
    one, other = await pair.call("user#make", 70), await pair.call("user#make", 71)
    assert await pair.call("user#look-and-eat", one, other) == 100 * 70 + 1
    assert await pair.call("user#look-two", one, one) == 100 * 70 + 70
    await pair.call("user#drop", one)
    assert pair.log == [70]


async def test_the_host_may_hold_lend_and_give_what_one_component_made_to_another(pair: Pair) -> None:
    thing = await pair.call("maker#make", 70)
    assert await pair.call("reader#look", thing) == 70
    assert await pair.call("reader#handle", thing) == 1
    assert await pair.call("maker#look", thing) == 70
    assert await pair.call("maker#eat", thing) == 1
    assert await pair.call("maker#rep", 1) == 70


async def test_the_host_s_drop_runs_the_destructor_in_the_component_that_implements_it(pair: Pair) -> None:
    await pair.drop(await pair.call("maker#make", 70))
    assert pair.log == [70]


async def test_what_the_host_lends_to_a_component_must_be_dropped_too(pair: Pair) -> None:
    thing = await pair.call("maker#make", 70)
    with pytest.raises(GuestTrap, match="borrow handles still remain"):
        await pair.call("reader#keep", thing)


async def test_a_trap_in_one_component_ends_all_of_the_composition(pair: Pair) -> None:
    handle = await pair.call("user#make", 70)
    with pytest.raises(GuestTrap, match="unreachable"):
        await pair.call("user#look-and-fail", handle)
    for name, arguments in (("maker#new", (1,)), ("user#make", (1,)), ("user#drop", (handle,))):
        with pytest.raises(InstanceConsumed):
            await pair.ours.call(name, *arguments)
        with pytest.raises(WasmtimeError, match="cannot enter component instance"):
            pair.theirs.call(name, *arguments)


# Place: canon resource.new, canon resource.rep (validation)


@pytest.mark.parametrize("builtin", ["new", "rep"])
async def test_only_its_implementer_may_turn_numbers_into_handles_and_back(engine: Engine, builtin: str) -> None:
    text = f"""(component (import "r" (type $r (sub resource))) (core func (canon resource.{builtin} $r)))"""
    with pytest.raises(ComponentInvalid, match="not a local resource"):
        await engine.load(bytes(wat2wasm(text)), [])


async def test_a_borrow_cannot_be_a_result(engine: Engine) -> None:
    text = """(component (import "r" (type $r (sub resource))) (import "f" (func (result (borrow $r)))))"""
    with pytest.raises(ComponentInvalid, match="borrow"):
        await engine.load(bytes(wat2wasm(text)), [])
