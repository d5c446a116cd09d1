"""The reference of row 19: a web console as most projects write one, FastAPI with Jinja2's templates behind Mangum."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()
templates = Jinja2Templates(Path(__file__).parent)


class Account(BaseModel):
    email: str
    password: str


@app.get("/studio/sign-in", response_class=HTMLResponse)
def show_sign_in(request: Request) -> HTMLResponse:
    return templates.TemplateResponse(request, "sign_in.html", {"title": "Sign in"})


@app.post("/studio/sign-in")
def sign_in(account: Account) -> dict[str, Any]:
    return {"email": account.email}


handler = Mangum(app, lifespan="off")
