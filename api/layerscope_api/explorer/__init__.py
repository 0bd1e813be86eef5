"""The explorer: web pages that show models to people, and the page of the API documentation.

    files         the JavaScript modules, which browsers load as they are
    joined        the modules that the page needs first, joined into one file
    page          the page itself: `index.html` with the style sheets in it
    routes        the routes `/` and `/ui`
    docs_pages    the routes `/docs` and `/openapi.json`

The modules read everything through the API with the JavaScript client (`client/`).
"""
