"""Python clients that retry a request by themselves (litellm and LangChain), while work takes longer than they may
wait; slow.mjs does the same with npm's clients. Each submits once; the results are printed as one line of JSON."""

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
# More retries than the clients' default, because a busy machine is slow.
RETRIES = 6
ACCESS: dict[str, Any] = {"api_base": BASE_URL, "api_key": TOKEN, "extra_headers": HEADERS, "max_retries": RETRIES}


def prompt_for(client: str) -> str:
    return f"a lake for {client} [[run:slow={SLOW}]]"


def litellm_client() -> str:
    messages = [{"role": "user", "content": prompt_for("litellm")}]
    return litellm.completion(model=f"openai/{CHAT}", messages=messages, **ACCESS).choices[0].message.content


def langchain_client() -> str:
    client = ChatOpenAI(model=CHAT, api_key=TOKEN, base_url=BASE_URL, default_headers=HEADERS, max_retries=RETRIES)
    return str(client.invoke(prompt_for("langchain")).content)


def is_answered(call: Callable[[], str]) -> bool | str:
    try:
        return len(call()) > 0
    except Exception as error:
        return repr(error)


calls = (litellm_client, langchain_client)
with ThreadPoolExecutor(len(calls)) as pool:
    print(json.dumps({call.__name__: each for call, each in zip(calls, pool.map(is_answered, calls), strict=True)}))
