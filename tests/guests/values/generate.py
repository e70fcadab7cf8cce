"""Print a core module that carries each exported call out through the import of the same name.

wasm-tools knows how a world's functions flatten: its dummy module has every import and export with the right signature
and no bodies. This fills the bodies in. How a type is laid out is never known here, so that the guest cannot share a
mistake with the host that it tests.
"""

import re
import subprocess
import sysconfig
from pathlib import Path

WORLD = Path(__file__).with_name("world.wit")
WASM_TOOLS = Path(sysconfig.get_path("scripts")) / "wasm-tools"
# Where an import leaves a result that does not fit into one flat value. The largest here needs a tenth of it.
RESULT_ADDRESS = 1024
HEAP = 4096

REALLOC = f"""
  (global $heap (mut i32) (i32.const {HEAP}))
  (func $reset (global.set $heap (i32.const {HEAP})))
  (func $realloc (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $made i32)
    (local.set $made (i32.and (i32.sub (i32.add (global.get $heap) (local.get $align)) (i32.const 1))
                              (i32.sub (i32.const 0) (local.get $align))))
    (global.set $heap (i32.add (local.get $made) (local.get $size)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $enough (i32.ne (i32.const -1)
        (memory.grow (i32.div_u (i32.add (local.get $size) (i32.const 131072)) (i32.const 65536)))))
      unreachable)
    (memory.copy (local.get $made) (local.get $old) (local.get $old_size))
    (local.get $made))
"""


def signature(text: str) -> tuple[list[str], list[str]]:
    """Return the parameter and result types of a WebAssembly text type."""
    parameters = re.search(r"\(param ([^)]*)\)", text)
    results = re.search(r"\(result ([^)]*)\)", text)
    return (parameters[1].split() if parameters else [], results[1].split() if results else [])


def body(parameters: list[str], results: list[str], imported: tuple[list[str], list[str]], target: int) -> str:
    """Return the instructions that call import ``target`` with the function's own parameters."""
    lines = [f"local.get {index}" for index in range(len(parameters))]
    through_memory = len(imported[0]) == len(parameters) + 1
    if through_memory:
        lines.append(f"i32.const {RESULT_ADDRESS}")
    lines.append(f"call {target}")
    if through_memory and results:
        lines.append(f"i32.const {RESULT_ADDRESS}")
    return "\n    ".join(lines)


def main() -> None:
    dummy = subprocess.run(
        [WASM_TOOLS, "component", "embed", "--dummy", "-t", WORLD, "--world", "echo"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    print("(module")
    types = re.findall(r"\(type \(;\d+;\) \(func(.*)\)\)", dummy)
    imports: dict[str, tuple[int, tuple[list[str], list[str]]]] = {}
    for index, (module, name, kind) in enumerate(
        re.findall(r'\(import "([^"]*)" "([^"]*)" \(func .*type (\d+)', dummy)
    ):
        imports[name] = index, signature(types[int(kind)])
        print(f'  (import "{module}" "{name}" (func {type_text(*imports[name][1])}))')
    functions = {int(number): int(kind) for number, kind in re.findall(r"\n  \(func \(;(\d+);\) \(type (\d+)\)", dummy)}
    print('  (memory (export "cm32p2_memory") 1)', REALLOC, '  (export "cm32p2_realloc" (func $realloc))')
    for name, number in re.findall(r'\(export "([^"]*)" \(func (\d+)\)\)', dummy):
        parameters, results = signature(types[functions[int(number)]])
        if name.endswith("_post"):
            print(f'  (func (export "{name}") {type_text(parameters, results)} call $reset)')
        elif "|" in name:
            index, imported = imports[name.rsplit("|", 1)[1]]
            print(f'  (func (export "{name}") {type_text(parameters, results)}')
            print(f"    {body(parameters, results, imported, index)})")
    print(")")


def type_text(parameters: list[str], results: list[str]) -> str:
    return f"(param {' '.join(parameters)}) (result {' '.join(results)})"


if __name__ == "__main__":
    main()
