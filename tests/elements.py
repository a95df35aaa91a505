"""What an HTML page consists of, for tests that hold it against what it was made from."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """Every element and attribute of a page, and the text of each script."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.inside = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self.inside = ""
