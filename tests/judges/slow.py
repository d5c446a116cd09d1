"""Python's clients that repeat a request by themselves, as slow.mjs has npm's: litellm and LangChain, each before work
that takes longer than they are made to wait. One order each; what came of them is one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litellm
from langchain_openai import ChatOpenAI

BASE_URL, TOKEN, PREFER, SLOW, CHAT = sys.argv[1:6]
HEADERS = {"prefer": PREFER}
# More often than they would by themselves, for a busy machine.
RETRIES = 6
ACCESS: dict[str, Any] = {"api_base": BASE_URL, "api_key": TOKEN, "extra_headers": HEADERS, "max_retries": RETRIES}


def words(client: str) -> str:
    return f"a lake for {client} [[run:slow={SLOW}]]"


def litellm_client() -> str:
    talk = [{"role": "user", "content": words("litellm")}]
    return litellm.completion(model=f"openai/{CHAT}", messages=talk, **ACCESS).choices[0].message.content


def langchain_client() -> str:
    client = ChatOpenAI(model=CHAT, api_key=TOKEN, base_url=BASE_URL, default_headers=HEADERS, max_retries=RETRIES)
    return str(client.invoke(words("langchain")).content)


def made(call: Callable[[], str]) -> bool | str:
    try:
        return len(call()) > 0
    except Exception as error:
        return repr(error)


calls = (litellm_client, langchain_client)
with ThreadPoolExecutor(len(calls)) as pool:
    print(json.dumps({call.__name__: each for call, each in zip(calls, pool.map(made, calls), strict=True)}))
