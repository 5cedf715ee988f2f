"""The words that the demo's stories are made of: twelve scenes and the function words.

No content word belongs to two scenes, so that a word tells its scene, as in the simulated BOLD
(`hearsay.demo.bold_simulation`) and as a reader would hope.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scene:
    """Content words of one scene.

    Attributes
    ----------
    name : the scene's own noun, used when a story moves there.
    people : nouns of persons, made plural by `plural`.
    things : nouns of objects, in the singular.
    places : nouns that follow a preposition.
    acts : transitive verbs in the past tense, with a thing as object.
    moves : intransitive verbs in the past tense.
    qualities : adjectives.
    """

    name: str
    people: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    acts: tuple[str, ...]
    moves: tuple[str, ...]
    qualities: tuple[str, ...]

    def kinds(self) -> dict[str, tuple[str, ...]]:
        """Its words by word class, plurals of people included."""
        return {
            "name": (self.name,),
            "people": (*self.people, *map(plural, self.people)),
            "things": self.things,
            "places": self.places,
            "acts": self.acts,
            "moves": self.moves,
            "qualities": self.qualities,
        }


def plural(noun: str) -> str:
    """Regular English plural of `noun`."""
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def _scene(name: str, *classes: str) -> Scene:
    return Scene(name, *(tuple(words.split()) for words in classes))


SCENES = (
    _scene(
        "harbour",
        "sailor captain pilot swimmer",
        "rope boat anchor net lantern sail barrel",
        "pier deck beach lighthouse",
        "pulled moored rowed hauled steered",
        "drifted floated sank",
        "salty wet rusty foggy windy",
    ),
    _scene(
        "kitchen",
        "cook baker butcher waiter",
        "soup bread kettle spoon onion pan butter",
        "oven stove cupboard sink",
        "stirred boiled chopped tasted peeled",
        "simmered steamed burned",
        "spicy sweet sour greasy tasty",
    ),
    _scene(
        "school",
        "teacher pupil clerk student",
        "pencil book chalk lesson exam notebook map",
        "classroom blackboard library playground",
        "copied studied solved learned spelled",
        "listened counted graduated",
        "clever strict curious lazy polite",
    ),
    _scene(
        "hospital",
        "nurse doctor patient surgeon",
        "bandage needle pill wound pulse crutch fever",
        "ward bed clinic corridor",
        "healed treated washed examined bandaged",
        "coughed fainted recovered",
        "sick pale weak painful clean",
    ),
    _scene(
        "forest",
        "hunter ranger hiker scout",
        "wolf axe branch deer mushroom tent campfire",
        "trail oak cave stream",
        "chased followed tracked gathered spotted",
        "howled crept wandered",
        "wild dark mossy hollow thick",
    ),
    _scene(
        "market",
        "merchant farmer beggar customer",
        "coin basket apple cheese scarf carpet melon",
        "stall counter square shop",
        "sold bought weighed traded paid",
        "shouted bargained haggled",
        "cheap ripe costly crowded fresh",
    ),
    _scene(
        "train",
        "conductor driver porter passenger",
        "ticket suitcase whistle engine timetable newspaper seat",
        "platform carriage tunnel station",
        "packed missed boarded delayed punched",
        "departed arrived rattled",
        "late fast noisy empty distant",
    ),
    _scene(
        "theatre",
        "actor singer dancer director",
        "curtain mask costume violin script drum poster",
        "stage balcony orchestra studio",
        "rehearsed performed sang played applauded",
        "danced bowed clapped",
        "famous dramatic golden loud velvet",
    ),
    _scene(
        "garden",
        "gardener neighbour widow florist",
        "rose shovel tulip bee seed hedge ladder",
        "lawn pond fence greenhouse",
        "planted watered trimmed picked dug",
        "bloomed grew buzzed",
        "green sunny fragrant muddy shady",
    ),
    _scene(
        "mountain",
        "climber guide skier shepherd",
        "sled glove snowball icicle blanket mitten boot",
        "summit glacier slope cabin",
        "climbed shovelled melted dragged wrapped",
        "slipped shivered froze",
        "cold icy white frozen steep",
    ),
    _scene(
        "court",
        "judge lawyer thief witness",
        "letter verdict crime alibi contract oath robe",
        "jail bench courtroom cell",
        "accused denied proved signed stole",
        "confessed lied testified",
        "guilty innocent honest stern secret",
    ),
    _scene(
        "workshop",
        "carpenter blacksmith painter apprentice",
        "hammer nail plank board wheel chisel clock",
        "workbench shelf anvil garage",
        "built repaired sanded hammered polished",
        "sparked creaked cracked",
        "wooden broken heavy sharp dusty",
    ),
)

_FUNCTION = """
    the a an and then but so because while when before after although who that what where why
    i he she it we they you him her us them my his our their
    was were is are did didn't couldn't can not never again still very too there nothing
    to in near behind under beside from with by about all
    said asked whispered answered remembered knew thought wanted saw found loved needed
    went came want need see know find look please now back gave
    one day morning evening night later soon suddenly slowly quickly finally old young
"""
FUNCTION_WORDS = tuple(_FUNCTION.split())


def word_classes() -> dict[str, tuple[int | None, str]]:
    """Scene number (None for function words) and word class of every word, in a fixed order."""
    classes: dict[str, tuple[int | None, str]] = dict.fromkeys(FUNCTION_WORDS, (None, "function"))
    for number, scene in enumerate(SCENES):
        for kind, words in scene.kinds().items():
            classes |= dict.fromkeys(words, (number, kind))
    return classes
