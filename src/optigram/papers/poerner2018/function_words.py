"""The function words of English by class: closed-class words, which carry grammar rather than content.

The list is our own. Words are in lower case without apostrophes ("dont"), as the models read them. Each word is in one class, the
one it mostly has in captions: "that" is a determiner, "up" a particle, "outside" a preposition. Left out are numerals ("two"),
which describe a scene; "like", "one", "little", "back" and "next", mostly content words in captions; and contractions that
are other words without their apostrophe ("were" for "we're" is the auxiliary, "well", "its").
"""

from types import MappingProxyType

CONTENT = "content"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLASSES = MappingProxyType(
    {
        "determiner": _words("""
            a an the this that these those some any no each every either neither all both half many much more most few fewer
            several less least enough such another other others"""),
        "pronoun": _words("""
            i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its itself we us
            our ours ourselves they them their theirs themselves someone somebody something anyone anybody anything everyone
            everybody everything nobody nothing none oneself there im ive youre youve hes shes theyre theyve theres thats"""),
        "preposition": _words("""
            of in on at by for with without from to into onto upon over under underneath beneath below above behind beside besides
            between among amongst amid amidst across along alongside against around round about through throughout toward
            towards near inside outside within beyond past before after during until till since despite except via per
            atop off out aboard opposite versus"""),
        "particle": _words("up down away apart aside forth"),
        "auxiliary": _words("""
            be am is are was were been being isnt arent wasnt werent do does did doing done dont doesnt didnt have has had having
            havent hasnt hadnt can could cannot cant couldnt may might must shall should shouldnt will would wont wouldnt
            ought"""),
        "conjunction": _words("and or but nor yet so if unless because although though while whilst whereas as than whether"),
        "wh-word": _words("who whom whose which what when where why how whoever whatever whichever whenever wherever whos whats"),
        "negation": _words("not never nt"),
        "adverb": _words("here then too very also just only even still again already almost quite rather else ever"),
    }
)

_CLASS_OF = {word: name for name, words in CLASSES.items() for word in words}


def class_of(word: str) -> str:
    """The class of `word`, or "content" if it is not in the list."""
    return _CLASS_OF.get(word, CONTENT)
