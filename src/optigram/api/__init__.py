"""The functions that most users need: find, score, explain, concepts, verify, scan and open."""

from optigram.api.scans import open as open
from optigram.api.scans import scan as scan
from optigram.api.searches import concepts as concepts
from optigram.api.searches import find as find
from optigram.api.texts import explain as explain
from optigram.api.texts import score as score
from optigram.api.texts import verify as verify
from optigram.explaining.descriptions import describe as describe
