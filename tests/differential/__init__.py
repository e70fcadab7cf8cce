"""The engine against wasmtime's component API: random components, random values, the same outcome.

A *case* (``case``) is one component with the calls to make. Its text is written by the makers (``components``,
``handles``, ``lending``, ``composed``, ``composed_handles``, ``reentering``) from functions (``bodies``) around a
common core (``kit``), from random types and values (``generate``) and from raw bytes that are wrong in places
(``image``); how values lie is told by ``layout``, which shares nothing with the engine's. Both engines run it
(``ours``; ``oracle`` and ``oracle_values``), note what happens, and ``compare`` says whether they agree; ``runner``
does all that, counts, and makes what differs small.

A case is made from its category and its number alone: ``python -m tests.differential --only pass:123`` repeats it.
``make differential`` is the long run. ``known_differences`` lists what is let pass, and why; ``test_planted_errors``
shows that errors are found.
"""
