"""A forecast service: an ordinary Python program that happens to run as a guarded component.

"load <file>"  read the observations, a JSON object of cities to lists of temperatures; answers how many cities it has
"<city>"       the forecast for a city, made once, kept in storage and answered from there afterwards
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import logging, store
from wit_world.imports.types import Message, Payload, Payload_Text

observations: dict[str, list[float]] = {}


class Handler(exports.Handler):
    def handle(self, message: Message) -> Payload | None:
        match message.body:
            case Payload_Text(text) if text.startswith("load "):
                return Payload_Text(load(text.removeprefix("load ")))
            case Payload_Text(city):
                return Payload_Text(forecast(city))
        raise Err("ask with a text")


def load(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            observations.update(json.loads(file.read()))
    except OSError as failure:
        raise Err(f"cannot read the observations: {failure.strerror}") from failure
    logging.log(logging.Level.INFO, "forecast", f"{len(observations)} cities")
    return f"{len(observations)} cities"


def forecast(city: str) -> str:
    bucket = store.open("default")
    kept = bucket.get(f"forecast:{city}")
    if kept is not None:
        return kept.decode()
    temperatures = observations.get(city)
    if not temperatures:
        raise Err(f"nothing is known of {city}")
    trend = (temperatures[-1] - temperatures[0]) / max(len(temperatures) - 1, 1)
    made = f"{city}: {temperatures[-1] + trend:.1f} °C tomorrow"
    bucket.set(f"forecast:{city}", made.encode())
    logging.log(logging.Level.DEBUG, "forecast", f"made one for {city}")
    return made
