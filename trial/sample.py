"""Sample data: a catalog of images (CSV) and the labels of a machine for them (JSON lines).

The label file matches the published statistics of the labelled set (100 million images, 1.2
billion labels): 12.33 labels an image, confidence 79.93 in the mean and 81.38 in the median,
37.85 % of the labels above 90, which is 4.66 an image. They hold for every seed, because counts and
confidences are dealt from shuffled decks that hold them exactly. Images with few labels get higher
ones: the mean of the images' means is 81.07, the median of their medians 82.56.

Both files also have what real files have, at fixed places: images without labels, an image that
comes twice, a line that is no JSON, a last line that is cut off, and malformed tags.
The same seed, size and reviewed labels give the same bytes. Images, creators, titles and addresses
are made up.
"""

import csv
import json
import random
import uuid
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice, pairwise
from pathlib import Path


def _names(text: str) -> list[str]:
    return text.split(",")


SEED = 20_240
FOLDER = Path("sample")
REVIEWED_LABELS = Path(__file__).parent.parent / "seeds/label_policy/reviewed_labels.csv"

# Distributions: (share of the values that are lower, value), linear in between.
Points = tuple[tuple[float, float], ...]
# The second value makes the mean 79.93.
CONFIDENCES = ((0, 55), (0.25, 64.32566), (0.5, 81.38), (0.6215, 90), (0.8, 97), (1, 100))
# The fourth value makes the mean 12.33, with one image in a thousand that has none.
LABEL_COUNTS = ((0, 1), (0.1, 4), (0.25, 7), (0.5, 9.76937), (0.75, 16), (0.9, 22), (1, 40))
# An image leans to high confidences by so much for each label that it has fewer than others. Twice
# as much would make the mean of the means of images 82.0, and the median of their medians 84.2.
LEANING = 1 / 40
HOW_MANY_SHARE_A_CONFIDENCE = (1, 1, 1, 1, 1, 2, 2, 3, 4)
USUAL_LABELS = 12
MEAN_LABELS = 12.33

# Where the oddities of the label file are, counted in images from 0.
EMPTY_EVERY, EMPTY_AT = 1_000, 10  # "Labels": []
NEW_LABEL_EVERY, NEW_LABEL_AT = 100, 50  # one of NEW_LABELS
DOUBLED_EVERY, DOUBLED_AT = 3_000, 30  # the first label's name again as the last one
MODEL_3_EVERY, MODEL_3_AT = 20, 19  # model 3.0, with Aliases and Categories
NOT_JSON = "An error occurred (ThrottlingException) when calling the DetectLabels operation"
# NOT_JSON follows the image in the middle. The first image comes again, with other labels, after
# three quarters. Half the response of one image more, without a newline, ends the file.

# Labels that are frequent in photographs, the most frequent first.
FREQUENT_LABELS = _names(
    "Person,Human,Nature,Outdoors,Plant,Clothing,Apparel,Building,Animal,Tree,Vehicle,Face,Female,"
    "Man,Woman,Water,Transportation,Architecture,Food,Furniture,People,Urban,Text,Girl,Smile,Child,"
    "Kid,Male,Boy,Flower,Bird,City,Grass,Sky,Car,Road,Art,Photography,Photo,Portrait,Machine,Wheel,"
    "Indoors,Dog,Cat,Mammal,Sea,Ocean,Beach,Mountain,Landscape,Scenery,Forest,Rock,Blossom,Crowd,"
    "Accessories,Accessory,Glasses,Shoe,Footwear,Hat,Electronics,Sport,Sports,House,Housing,Window,"
    "Door,Table,Chair,Tower,Boat,Bicycle,Automobile,Horse,Insect,Snow,Night,Painting,Statue,"
    "Sculpture,Dress,Teen,Happy,Bride,Town,Countryside,Leaf,Dance,Fruit,Meal,Bread,Drink,Beverage,"
    "Book,Paper,Poster,Advertisement,Logo,Symbol,Train,Airplane,Bus,Motorcycle,Church,Bridge,"
    "Castle,Cloud,Sunset,Lake,River,Garden,Baby,Adult,Hair,Skin"
)
EARLIER_SPELLINGS = ["Atm", "Atv", "Bmx", "Cpu", "Dj", "Dvd", "Ipod", "Pc", "Rv", "Suv", "Fireman"]
# What a newer model might send: names that nobody has reviewed yet, the most frequent first.
NEW_LABELS = _names(
    "Older Adult,Bucket Hat,Cargo Bike,Air Fryer,Ring Light,Padel Court,Tiny House,Parcel Locker,"
    "Heat Pump,Robot Lawnmower"
)
BOXED_LABELS = _names(
    "Person,Man,Woman,Girl,Boy,Child,Car,Wheel,Dog,Cat,Bird,Flower,Building,Tree,Chair,Boat,Bicycle,"
    "Horse,Hat,Shoe,Glasses,Window,Book,Train,Airplane,Bus,Motorcycle"
)
PARENTS_OF = {
    ("Person",): "Face,Female,Man,Woman,People,Girl,Smile,Child,Kid,Male,Boy,Portrait,Crowd,Teen,"
    "Happy,Bride,Baby,Adult",
    ("Transportation",): "Vehicle",
    ("Transportation", "Vehicle"): "Car,Boat,Bicycle,Automobile,Train,Airplane,Bus,Motorcycle",
    ("Outdoors", "Nature"): "Water,Sea,Ocean,Beach,Mountain,Landscape,Forest,Snow,Lake,River",
    ("Plant",): "Tree,Flower,Grass,Blossom,Leaf,Fruit",
    ("Animal",): "Bird,Mammal,Insect,Dog,Cat,Horse",
    (): "Person,Human,Nature,Outdoors,Plant,Clothing,Apparel,Building,Animal,Transportation,Food",
}
CATEGORIES = ["Nature and Outdoors", "Everyday Objects", "Home and Indoors", "Person Description"]
COLUMNS = _names(
    "identifier,created_on,updated_on,ingestion_type,provider,source,foreign_identifier,"
    "foreign_landing_url,url,thumbnail,width,height,filesize,license,license_version,creator,"
    "creator_url,title,meta_data,tags,watermarked,last_synced_with_source,removed_from_source,"
    "filetype,category,standardized_popularity"
)
PROVIDERS = {  # provider: share of the images, licences
    "flickr": (54, ("by 2.0", "by-sa 2.0", "by-nc 2.0", "by-nc-nd 2.0", "by-nc-sa 2.0")),
    "geographorguk": (16, ("by-sa 2.0",)),
    "wikimedia": (12, ("by-sa 3.0", "by-sa 4.0", "by 4.0", "cc0 1.0")),
    "eol": (9, ("by 3.0", "by-nc-sa 3.0")),
    "rijksmuseum": (4, ("cc0 1.0",)),
    "behance": (5, ("by-nc-nd 4.0", "by-nc 4.0")),
}
CREATORS_TAGS = _names(
    "nature,travel,london,street,portrait,sunset,architecture,paris,españa,2019,family,beach,macro,"
    "flower,kyoto,blackandwhite,dog,cat,new york,museum,bridge,snow,summer,garden,festival,norway,"
    "canon,church,railway,river,berlin,food,hiking,bird,cittàdireggioemilia,México,Scotland,Garden"
)
CLARIFAI_TAGS = _names(
    "people,adult,woman,man,travel,no person,one,outdoors,nature,water,sky,city,art,portrait,child,"
    "architecture,building,wear,girl,fashion,animal,tree,landscape,food,old,vehicle"
)
DENIED_TAGS = _names(
    "uploaded:by=instagram,uploaded:by=flickrmobile,squareformat,flickriosapp:filter=flamingo,cc0,"
    " cc0,by-nc,by,garbage:=metacrap"
)
ODD_EVERY = 10  # every tenth catalog row holds the next of the values of _odd_tags_values


def _quantile(points: Points, share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie."""
    (u0, v0), (u1, v1) = next(pair for pair in pairwise(points) if share <= pair[1][0])
    return v0 + (v1 - v0) * (share - u0) / (u1 - u0)


def _identifiers(seed: int) -> Iterator[str]:
    """Yield the image identifiers of a seed without end; both files take them from here."""
    rng = random.Random(f"{seed} identifiers")
    while True:
        yield str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _label_counts(rng: random.Random) -> Iterator[int]:
    """Yield labels per image (0 to 40), exact in every EMPTY_EVERY images, 0 at EMPTY_AT."""
    size = EMPTY_EVERY - 1
    deck = [round(_quantile(LABEL_COUNTS, (place + 0.5) / size)) for place in range(size)]
    while True:
        rng.shuffle(deck)
        yield from (*deck[:EMPTY_AT], 0, *deck[EMPTY_AT:])


class _Confidences:
    """A deck of confidences (55 to 100, float32), one from each 2,000th of the distribution."""

    def __init__(self, rng: random.Random, choice: random.Random) -> None:
        size = 2_000  # every knot of CONFIDENCES is at a whole 2,000th
        self._bounds = [_quantile(CONFIDENCES, place / size) for place in range(size + 1)]
        self._rng, self._choice = rng, choice
        self._deck = array("f")

    def draw(self, leaning: float) -> float:
        """Draw one; of two the higher, with this chance, or the lower if it is below 0."""
        deck = self._deck
        if not deck:
            deck.extend(
                low + (high - low) * self._rng.random() for low, high in pairwise(self._bounds)
            )
            self._rng.shuffle(deck)
        if self._choice.random() < abs(leaning):
            other = self._choice.randrange(len(deck))
            if (deck[other] > deck[-1]) == (leaning > 0):
                deck[other], deck[-1] = deck[-1], deck[other]
        return deck.pop()


def _zipf(size: int) -> list[float]:
    """Return the cumulative weights of `size` ranks; about a third of the images have the first."""
    return list(accumulate(1 / (rank + 5) for rank in range(size)))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _box(rng: random.Random) -> dict[str, object]:
    """Return one instance: a box (shares of the image's sides) and a confidence."""
    width, height = rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.6)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    *sides, confidence = array("f", [width, height, left, top, rng.uniform(50, 99)])
    box = dict(zip(("Width", "Height", "Left", "Top"), sides, strict=True))
    return {"BoundingBox": box, "Confidence": confidence}


class _Responses:
    """Makes label lines; what does not change from line to line is made once."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"{seed} labels")
        with REVIEWED_LABELS.open(encoding="utf-8", newline="") as file:
            reviewed = {row["label"] for row in csv.DictReader(file)}
        rarer = sorted(reviewed - set(NEW_LABELS))
        self.rng.shuffle(rarer)
        frequent = [name for name in FREQUENT_LABELS if name in reviewed]
        ranked = list(dict.fromkeys([*frequent, *EARLIER_SPELLINGS, *rarer]))
        self.labels = [self._label(name) for name in ranked + NEW_LABELS]
        self.weights = _zipf(len(ranked))
        self.boxes = [_box(self.rng) for _ in range(2_000)]
        # A deck for each number of sharers keeps the statistics exact whatever is shared.
        choice = random.Random(f"{seed} confidences")
        self.decks = {size: _Confidences(self.rng, choice) for size in HOW_MANY_SHARE_A_CONFIDENCE}

    def _label(self, name: str) -> dict[str, object]:
        """Return a label of model 3; categories, and parents of rarer ones, fit in shape alone."""
        known = (parents for parents, names in PARENTS_OF.items() if name in names.split(","))
        parents = next(known, self.rng.choice(list(PARENTS_OF)))
        return {
            "Name": name,
            "Confidence": None,
            "Instances": [],
            "Parents": [{"Name": parent} for parent in parents],
            "Aliases": [],
            "Categories": [{"Name": self.rng.choice(CATEGORIES)}],
        }

    def line(self, identifier: str, index: int, count: int) -> str:
        """Return the JSON line of the image at `index` with `count` labels, without newline."""
        is_model_3 = index % MODEL_3_EVERY == MODEL_3_AT
        confidences = self._draw_confidences(count)
        labels = []
        for rank, confidence in zip(self._draw_ranks(index, count), confidences, strict=True):
            label = self.labels[rank] | {"Confidence": confidence}
            if label["Name"] in BOXED_LABELS:
                label["Instances"] = self._draw_boxes()
            if not is_model_3:
                del label["Aliases"], label["Categories"]
            labels.append(label)
        labels_json = _json(labels)
        request = f"00000000-0000-4000-8000-{self.rng.getrandbits(48):012x}"
        # Real files hold both spellings of the slash.
        slash = "/" if is_model_3 else r"\/"
        return (
            f'{{"image_uuid":"{identifier}","response":{{"Labels":{labels_json},'
            f'"LabelModelVersion":"{"3.0" if is_model_3 else "2.0"}","ResponseMetadata":{{'
            f'"RequestId":"{request}","HTTPStatusCode":200,"HTTPHeaders":{{'
            f'"content-type":"application{slash}x-amz-json-1.1",'
            f'"date":"Thu, 29 Oct 2020 19:46:02 GMT","x-amzn-requestid":"{request}",'
            f'"content-length":"{len(labels_json) + 39}","connection":"keep-alive"}},'
            f'"RetryAttempts":0}}}}}}'
        )

    def _draw_ranks(self, index: int, count: int) -> list[int]:
        """Return the ranks of `count` labels, the likeliest of them first in half of the images."""
        drawn: dict[int, None] = {}
        while len(drawn) < count:
            more = count - len(drawn) + 2
            ranks = self.rng.choices(range(len(self.weights)), cum_weights=self.weights, k=more)
            drawn |= dict.fromkeys(ranks)
        ranks = list(drawn)[:count]
        if self.rng.random() < 0.5:  # frequent labels have higher confidences than rare ones
            ranks.sort()
        if count and index % NEW_LABEL_EVERY == NEW_LABEL_AT:
            new_ranks = range(len(self.weights), len(self.labels))
            (new,) = self.rng.choices(new_ranks, cum_weights=_zipf(len(NEW_LABELS)))
            ranks[self.rng.randrange(count)] = new
        if count and index % DOUBLED_EVERY == DOUBLED_AT:
            ranks[-1] = ranks[0]
        return ranks

    def _draw_confidences(self, count: int) -> list[float]:
        """Return `count` confidences, the highest first; parents and children share one."""
        leaning = (MEAN_LABELS - count) * LEANING
        confidences: list[float] = []
        while len(confidences) < count:
            sharers = min(self.rng.choice(HOW_MANY_SHARE_A_CONFIDENCE), count - len(confidences))
            confidences += [self.decks[sharers].draw(leaning)] * sharers
        return sorted(confidences, reverse=True)

    def _draw_boxes(self) -> list[dict[str, object]]:
        first = int(self.rng.random() * (len(self.boxes) - 6))
        return self.boxes[first : first + 1 + int(self.rng.random() * 3)]


def write_labels(path: Path, images: int, seed: int = SEED) -> None:
    """Write labels for the first `images` images of the seed's catalog, one JSON line an image.

    The repeated, the broken and the cut line come on top.
    """
    responses = _Responses(seed)
    identifiers = _identifiers(seed)
    counts = _label_counts(responses.rng)
    first = None
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for index, identifier in enumerate(islice(identifiers, images)):
            first = first or identifier
            file.write(responses.line(identifier, index, next(counts)) + "\n")
            if index == images // 2:
                file.write(NOT_JSON + "\n")
            if index == images * 3 // 4:
                file.write(responses.line(first, images, USUAL_LABELS) + "\n")
        whole = responses.line(next(identifiers), images, USUAL_LABELS)
        file.write(whole[: len(whole) // 2])


def _odd_tags_values(provider: str) -> list[str]:
    """Return the odd JSON values that real catalogs hold as the tags of an image of `provider`."""
    odd_tags: list[object] = [
        {"provider": provider},
        {"name": None, "provider": provider},
        {"name": 2019, "provider": provider},
        "harbour",
        None,
        {"name": "harbour", "accuracy": None, "provider": provider},
        {"name": "water", "accuracy": "high", "provider": "clarifai"},
        {"name": "water", "accuracy": 1.2, "provider": "clarifai"},
        {"name": "water", "accuracy": 0.97},
        {"name": " sunset ", "provider": provider},
        {"name": "Sunset", "provider": provider},
        # What an earlier run left.
        {"name": "Person", "accuracy": 0.5121, "provider": "rekognition"},
        {"name": "Nature", "accuracy": 0.9371, "provider": "rekognition"},
        *({"name": name, "provider": provider} for name in DENIED_TAGS),
    ]
    sunset = {"name": "sunset", "provider": provider}
    beach = {"name": "beach", "provider": provider}
    values: list[object] = [[sunset, odd_tag, beach] for odd_tag in odd_tags]
    return [json.dumps(value) for value in [*values, None, "harbour"]]


def _tags(provider: str, rng: random.Random) -> str:
    """Return tags as JSON; empty (NULL), {} or [] in nearly half of the images."""
    kind = rng.random()
    if kind < 0.45:
        return "" if kind < 0.35 else "{}" if kind < 0.42 else "[]"
    names = rng.sample(CREATORS_TAGS, 1 + int(rng.random() * 7))
    tags: list[dict[str, object]] = [{"name": name, "provider": provider} for name in names]
    if kind > 0.85:
        accuracies = sorted((round(rng.uniform(0.75, 1), 5) for _ in range(12)), reverse=True)
        is_text = rng.random() < 0.2
        for name, accuracy in zip(rng.sample(CLARIFAI_TAGS, 12), accuracies, strict=True):
            written = str(accuracy) if is_text else accuracy
            tags.append({"name": name, "accuracy": written, "provider": "clarifai"})
    return json.dumps(tags, ensure_ascii=False)


def _catalog_rows(images: int, seed: int) -> Iterator[Sequence[object]]:
    """Yield catalog rows, their values in the order of COLUMNS."""
    rng = random.Random(f"{seed} catalog")
    shares = [share for share, _ in PROVIDERS.values()]
    odd_values = {provider: _odd_tags_values(provider) for provider in PROVIDERS}
    site, time = "https://example.org", "2020-02-19 22:03:27.297223+00"
    for index, identifier in enumerate(islice(_identifiers(seed), images)):
        provider = rng.choices(list(PROVIDERS), shares)[0]
        license_, version = rng.choice(PROVIDERS[provider][1]).split()
        number, creator = 30_000_000 + index, int(rng.random() * 5_000)
        page, size = f"{site}/{provider}/{number}", rng.choice(("1024,768", "683,1024", ","))
        width, height = size.split(",")
        turn, rest = divmod(index, ODD_EVERY)
        odd = odd_values[provider]
        yield (
            *(identifier, time, time, "provider_api", provider, provider, number, page),
            *(f"{page}.jpg", f"{page}_small.jpg" if index % 3 else None, width, height, None),
            *(license_, version, f"creator {creator}", f"{site}/creators/{creator}"),
            f'image {number}, "untitled"' if index % 100 == 1 else f"image {number}",
            f'{{"pub_date": "{1_500_000_000 + index}", '
            f'"license_url": "{site}/licenses/{license_}/{version}/"}}',
            _tags(provider, rng) if rest else odd[turn % len(odd)],
            *("f", time, "t" if index % 4 == 3 else "f", "jpg" if index % 300 == 2 else None),
            *("digitized_artwork" if provider == "rijksmuseum" else None, round(rng.random(), 4)),
        )


def write_catalog(path: Path, images: int, seed: int = SEED) -> None:
    """Write a catalog of `images` rows: CSV with a header, an empty field is NULL."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_catalog_rows(images, seed))


def write_sample(
    folder: Path, images: int = 20_000, labelled: int = 15_000, seed: int = SEED
) -> tuple[Path, Path]:
    """Write catalog.csv and labels.jsonl into `folder` and return their paths.

    A file that is already there stays, whatever its size and seed. Each is written under another
    name first, so that an interrupted run leaves none half written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalog, labels = folder / "catalog.csv", folder / "labels.jsonl"
    for path, write, size in ((catalog, write_catalog, images), (labels, write_labels, labelled)):
        if not path.exists():
            unfinished = path.with_name(f"{path.name}.unfinished")
            write(unfinished, size, seed)
            unfinished.replace(path)
    return catalog, labels
