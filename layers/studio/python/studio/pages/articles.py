"""Articles: what the deployment publishes, for everybody."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response

from studio.api_client import Json
from studio.article_images import link_foreign_images
from studio.endpoints import route
from studio.visit import Visit

ARTICLES = "/api/articles"


def show_list(visit: Visit) -> Response:
    """The published articles, the newest first."""
    locale, tag = visit.query.get("locale"), visit.query.get("tag")
    page = visit.get(ARTICLES, locale=locale, tag=tag, cursor=visit.query.get("after"))
    return visit.page("articles.html", articles=page["items"], after=page["next_cursor"], locale=locale, tag=tag)


def show(visit: Visit) -> Response:
    """An article, or the place to which it has moved."""
    locale = str(visit.request.path_params["locale"])
    answer = visit.api.call("GET", f"{ARTICLES}/{visit.part('slug')}", query={"locale": locale})
    if answer.status == 301:
        slug = answer.headers["location"].rpartition("/")[2].partition("?")[0]
        return Response(status_code=301, headers={"Location": f"/articles/{quote(locale, safe='')}/{slug}"})
    return _page(visit, answer.data["article"], is_preview=False)


def show_preview(visit: Visit) -> Response:
    """One version of an article, by a signed address."""
    article = visit.get(f"{ARTICLES}/previews/{visit.part('token')}")["article"]
    response = _page(visit, article, is_preview=True)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _page(visit: Visit, article: Json, *, is_preview: bool) -> Response:
    html = link_foreign_images(article["html"], article["url"], visit.t("articles.image"))
    return visit.page("article.html", article={**article, "html": html}, is_preview=is_preview)


routes = [
    route("/articles", show_list, public=True),
    route("/articles/preview/{token}", show_preview, public=True),
    route("/articles/{locale}/{slug}", show, public=True),
]
