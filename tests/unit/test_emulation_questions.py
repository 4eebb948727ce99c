"""What the small strategy understands of a question, and above all what it doesn't."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.inference.emulation.numbers import terms_of
from tiny_agents.inference.emulation.questions import NotUnderstood, SumQuestion, TimeQuestion, read_question
from tiny_agents.inference.emulation.words import fold

# ---------------------------------------------------------------- places

UNDERSTOOD = {
    "What time is it in Tokyo?": "Asia/Tokyo",
    "Tokyo time?": "Asia/Tokyo",
    "time Tokyo": "Asia/Tokyo",
    "What's Tokyo's time?": "Asia/Tokyo",
    "WHAT TIME IS IT IN LIMA": "America/Lima",
    "what's the time in new york right now, please?": "America/New_York",
    "what time is it in newyork": "America/New_York",
    "What time is it in New York City?": "America/New_York",
    "What time is it in New York, New York?": "America/New_York",
    "What time is it in São Paulo?": "America/Sao_Paulo",
    "what time is it in sao paulo": "America/Sao_Paulo",
    "What time is it in Zürich?": "Europe/Zurich",
    "What time is it in Reykjavík, Iceland?": "Atlantic/Reykjavik",
    "time in Port-au-Prince": "America/Port-au-Prince",
    "time in port au prince": "America/Port-au-Prince",
    "What time is it in Ho Chi Minh City, Vietnam?": "Asia/Ho_Chi_Minh",
    "What is the local time in Buenos Aires, Argentina?": "America/Argentina/Buenos_Aires",
    "What time is it in America/Argentina/Buenos_Aires?": "America/Argentina/Buenos_Aires",
    "What time is it in the Asia/Tokyo time zone?": "Asia/Tokyo",
    "What time is it in N'Djamena?": "Africa/Ndjamena",
    "What time is it in St. John's?": "America/St_Johns",
    "What time is it in Saint Lucia?": "America/St_Lucia",
    "What time is it in Dar es Salaam?": "Africa/Dar_es_Salaam",
    "What time is it on the Isle of Man?": "Europe/Isle_of_Man",
    "What time is it on Easter Island?": "Pacific/Easter",
    "What time is it on Christmas Island?": "Indian/Christmas",
    "What time is it in the Canary Islands?": "Atlantic/Canary",
    "What time is it in Jersey?": "Europe/Jersey",
    "What time is it in Center, North Dakota?": "America/North_Dakota/Center",
    "What time is it in Indianapolis, Indiana?": "America/Indiana/Indianapolis",
    "What time is it in Los Angeles, California?": "America/Los_Angeles",
    "What time is it in Perth, Western Australia?": "Australia/Perth",
    "What time is it in London, England?": "Europe/London",
    "What time is it in Seoul, South Korea?": "Asia/Seoul",
    "What time is it in Amsterdam, the Netherlands?": "Europe/Amsterdam",
    "Paris, France. What time is it?": "Europe/Paris",
    "What time is it in Japan?": "Asia/Tokyo",
    "What time is it in Singapore?": "Asia/Singapore",
    "current time in Egypt": "Africa/Cairo",
    "current time in UTC": "UTC",
    "GMT time please": "GMT",
    "how late is it in Madrid": "Europe/Madrid",
    "What hour is it in Cairo, Egypt?": "Africa/Cairo",
    "Could you please tell me what the clock says in Nairobi right now?": "Africa/Nairobi",
    "I'd like to know the current local time in Oslo.": "Europe/Oslo",
    "Can you use the tool to get the time in Tokyo?": "Asia/Tokyo",
    "tell us the time in Oslo": "Europe/Oslo",
    "What time is it for my friend in Lagos?": "Africa/Lagos",
    "Do you happen to know the time in Oslo?": "Europe/Oslo",
    "What would be the time in Sydney now?": "Australia/Sydney",
    "I wonder what time it is where my friend lives, in Helsinki.": "Europe/Helsinki",
    "What do the clocks say in Rome at this very moment?": "Europe/Rome",
    "What time of day is it in Dubai?": "Asia/Dubai",
    "Time right now, Seoul?": "Asia/Seoul",
    "Please use get_current_time for Asia/Kolkata": "Asia/Kolkata",
    "What time is it in Tokyo? Thanks!": "Asia/Tokyo",
}

# A question of each kind that must not be answered with the time of some place.
REFUSED = {
    "no zone of that name": [
        "What time is it in Boston?",
        "What time is it in Beijing?",
        "What time is it in Mumbai?",
        "What time is it in Birmingham?",
        "What time is it in LA?",
        "what time is it in nyc",
        "What time is it in 東京?",
    ],
    "the name is part of another": [
        "What time is it in Saint Petersburg?",
        "What time is it in St. Petersburg?",
        "What time is it in New Jersey?",
        "What time is it in Jersey City?",
        "What time is it in Kansas City?",
        "What time is it in New Mexico?",
        "What time is it in Rio de Janeiro?",
        "What time is it in American Samoa?",
        "What time is it in Downtown Tokyo?",
        "What time is it in the center of Boston?",
    ],
    "it lies somewhere else": [
        "What time is it in Melbourne, Florida?",
        "What time is it in Paris, Texas?",
        "What time is it in London, Ontario?",
        "What time is it in Athens, Georgia?",
        "What time is it in Córdoba, Spain?",
        "What time is it in San Juan, Puerto Rico?",
        "What time is it in Vancouver, Washington?",
        "What time is it in Panama City, Florida?",
        "What time is it in Singapore, Malaysia?",
        "What time is it in Kingston, Jamaica?",
        "What time is it in Tokyo on Mars?",
    ],
    "several places": [
        "What time is it in Tokyo and Paris?",
        "Time in Tokyo or Seoul?",
        "What time is it in Tokyo, Paris and London?",
        "What's the time difference between Tokyo and Paris?",
        "If it is 14:30 in Tokyo, what time is it in Paris?",
    ],
    "a large area": [
        "What time is it in Mexico?",
        "What time is it in the US?",
        "What time is it in Europe?",
        "What time is it in Georgia?",
        "What time is it in Samoa?",
        "Pacific time?",
    ],
    "names of zones that are words": [
        "What time is it at the factory?",
        "what time is it in the center?",
        "What time is Easter?",
        "What time is it on Christmas?",
        "What time is it met?",
        "est time?",
        "What time is it in EST?",
        "what time is the oral?",
        "is it time for turkey?",
        "what time is it in a den",
        "What time is it in Davis?",
        "What time is it in Norfolk?",
        "What time is it in GMT+2?",
        "What time is it in UTC-5?",
    ],
    "not the current time": [
        "What time is sunset in Tokyo?",
        "What's the best time to visit Tokyo?",
        "Is it time to call Tokyo?",
        "What time do I need to be in Tokyo?",
        "What time is my friend in Lagos?",
        "What time is the train to Lima?",
        "What time does Tokyo open?",
        "What time zone is Tokyo in?",
        "What is the current time zone in Tokyo?",
        "What will the time be in Tokyo in 2 hours?",
        "What time was it in Tokyo yesterday?",
        "What time is it in Tokyo plus two hours?",
        "What time is it not in Tokyo?",
        "How many times is Tokyo bigger than Paris?",
        "What is the weather in Tokyo?",
        "now in Tokyo?",
        "Wie spät ist es in Berlin?",
    ],
    "no place": [
        "what time is it there?",
        "What time is it in us?",
        "What is time?",
        "time",
        "I'm in Boston. What time is it?",
    ],
    "nothing about time": ["", "Who wrote Hamlet?", "And in Paris?", "x" * 1000, "What time is it in Tokyo? " * 100],
}


@pytest.mark.parametrize(("question", "zone"), UNDERSTOOD.items())
def test_the_place_is_found(question, zone):
    reading = read_question(question)
    assert isinstance(reading, TimeQuestion)
    assert reading.place is not None
    assert reading.place.zone == zone


@pytest.mark.parametrize(
    ("kind", "question"), [(kind, question) for kind, questions in REFUSED.items() for question in questions]
)
def test_a_question_about_anything_else_is_refused(kind, question):
    reading = read_question(question)
    assert isinstance(reading, NotUnderstood)
    assert reading.reason.endswith((".", "?"))
    if kind == "several places":
        assert "more than one place" in reading.reason


@pytest.mark.parametrize(
    "question", ["What time is it?", "what's the time", "Current local time, please", "What time is it now?"]
)
def test_without_a_place_the_time_here_is_asked_for(question):
    assert read_question(question) == TimeQuestion(None)


NO_CITIES = {  # parts of Australia that share their name with other places, old spellings, and places that need a word more
    "ACT", "LHI", "NSW", "North", "South", "West", "Victoria", "Virgin", "Knox_IN", "Samoa",
    "Easter", "Christmas", "Norfolk", "Wake", "Midway", "Johnston",
    "Center", "Casey", "Davis", "Mawson", "Palmer", "Troll",
}  # fmt: skip
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
CITY_ZONES = sorted(
    zone
    for zone in zoneinfo.available_timezones()
    if zone.split("/")[0] in AREAS and "/" in zone and zone.split("/")[-1] not in NO_CITIES
)


def offsets(zone: str) -> list[timedelta | None]:
    """Offsets from UTC over a year: summer time included."""
    start = datetime(2026, 1, 15, tzinfo=UTC)
    return [(start + timedelta(days=30 * month)).astimezone(ZoneInfo(zone)).utcoffset() for month in range(12)]


@pytest.mark.parametrize("shape", ["What time is it in {}?", "what's the time in {} right now", "{} time"])
def test_every_city_with_a_zone_of_its_own_gets_that_time(shape):
    assert len(CITY_ZONES) > 400
    for zone in CITY_ZONES:
        city = zone.split("/")[-1].replace("_", " ")
        reading = read_question(shape.format(city))
        assert isinstance(reading, TimeQuestion), city
        assert reading.place is not None, city
        assert offsets(reading.place.zone) == offsets(zone), city


def test_case_accents_and_hyphens_do_not_matter_for_any_city():
    for zone in CITY_ZONES:
        city = zone.split("/")[-1].replace("_", " ").replace("-", " ")
        for spelled in (city.upper(), city.title()):
            reading = read_question(f"What time is it in {spelled}?")
            assert isinstance(reading, TimeQuestion), spelled
            assert reading.place is not None, spelled
            assert offsets(reading.place.zone) == offsets(zone), spelled


@pytest.mark.parametrize(
    ("question", "label"),
    [
        ("what time is it in new york", "New York, United States"),
        ("What time is it in São Paulo?", "São Paulo, Brazil"),
        ("What time is it in LIMA?", "Lima, Peru"),
        ("What is Tokyo's time?", "Tokyo, Japan"),
        ("What time is it in St. John's?", "St. John's, Canada"),
        ("What time is it in Cordoba?", "Cordoba, Argentina"),
        ("What time is it in Petersburg?", "Petersburg, Indiana"),
        ("What time is it in Japan?", "Japan"),
        ("What time is it in UTC?", "UTC"),
        ("What time is it in America/New_York?", "New York, United States"),
        ("What time is it in Singapore?", "Singapore"),
    ],
)
def test_the_answer_says_which_place_of_that_name_is_meant(question, label):
    reading = read_question(question)
    assert isinstance(reading, TimeQuestion)
    assert reading.label == label


FOREIGN = st.text(st.characters(categories=["Ll", "Lu"]), min_size=3, max_size=12).map(lambda word: f"q{word}q")


@given(st.sampled_from(sorted(UNDERSTOOD)), FOREIGN, st.floats(0, 1))
def test_one_unknown_word_anywhere_makes_it_another_question(question, foreign, where):
    words = question.split()
    words.insert(round(where * len(words)), foreign)
    assert isinstance(read_question(" ".join(words)), NotUnderstood)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading(text):
    assert isinstance(read_question(text), (TimeQuestion, SumQuestion, NotUnderstood))


# ---------------------------------------------------------------- sums

SUMS = {
    "What is 17 plus 25?": (17, 25),
    "17 + 25": (17, 25),
    "17+25=?": (17, 25),
    "What's the sum of 17 and 25?": (17, 25),
    "Add 17 and 25.": (17, 25),
    "add 17 to 25": (17, 25),
    "Add the numbers 17 and 25 together, please!": (17, 25),
    "How much is 17 and 25?": (17, 25),
    "How much is 17 and 25 in total?": (17, 25),
    "What do you get if you add 3.5 and 4?": (3.5, 4),
    "can you sum 17 and 25 for me?": (17, 25),
    "two plus two": (2, 2),
    "What is twenty-five plus two hundred three?": (25, 203),
    "-17 + 25": (-17, 25),
    "17 + -25": (17, -25),
    "17 plus −25": (17, -25),
    "1,000 + 2,500": (1000, 2500),
    "What is 17 added to 25?": (17, 25),
    "Add the number 17 to the number 25": (17, 25),
    "What do 17 and 25 add up to?": (17, 25),
    "17 and 25 is how much?": (17, 25),
    "Use the add tool to add 17 and 25.": (17, 25),
    "What is the result of adding 17 and 25?": (17, 25),
    "add one hundred and five": (100, 5),
}

NOT_SUMS = [
    "What is 17 times 25?",
    "17 * 25",
    "17 x 25",
    "What is 17 minus 25?",
    "17 - 25",
    "17 -25",
    "17 - -25",
    "What is 17 divided by 25?",
    "the product of 17 and 25",
    "What is the difference between 17 and 25?",
    "subtract 17 from 25",
    "17 plus 25 minus 3",
    "17 plus 25 plus 3",
    "17 plus 25 times two",
    "twice 17 plus 25",
    "half of 17 plus 25",
    "What is the square of 17 plus 25?",
    "sum of 17 and 25 squared",
    "-(17 + 25)",
    "5! + 3",
    "5² + 3²",
    "5' + 3'",
    "17% plus 25",
    "$17 + $25",
    "1/2 plus 1/3",
    "10:30 + 2",
    "1e3 + 5",
    "3,4 + 5",
    "1.2.3 + 4",
    "0x10 + 5",
    "99999999999999999999 + 1",
    "What plus 17 is 25?",
    "17 plus what is 25?",
    "What do I add to 17 to get 25?",
    "sum of 1 to 100",
    "add the numbers 1 to 100",
    "is 17 plus 25 even?",
    "17 plus 25 = 43, right?",
    "17 apples plus 25 pears",
    "Add user 17 to group 25",
    "add 5 minutes to 3",
    "17 plus 25 in hex",
    "17 and 25",
    "Add 17, 25",
    "two hundred and fifty plus three",
    "twenty - five plus three",
    "add negative 5 and 3",
    "Add 17 and 25 and tell me the time in Tokyo",
    "What time is 17 plus 25?",
]


@pytest.mark.parametrize(("question", "numbers"), SUMS.items())
def test_a_sum_of_two_numbers_is_read(question, numbers):
    assert read_question(question) == SumQuestion(*numbers)


@pytest.mark.parametrize("question", NOT_SUMS)
def test_whatever_else_is_asked_of_numbers_is_refused(question):
    assert isinstance(read_question(question), NotUnderstood)


NUMBERS = st.integers(-(10**12), 10**12) | st.integers(-(10**6), 10**6).map(lambda number: number / 100)
SHAPES = ["What is {} plus {}?", "{} + {}", "add {} and {}", "sum of {} and {}", "Please add {} to {}."]


@given(NUMBERS, NUMBERS, st.sampled_from(SHAPES))
def test_any_two_numbers_are_read_exactly(first, second, shape):
    assert read_question(shape.format(first, second)) == SumQuestion(first, second)


@given(st.sampled_from(sorted(SUMS)), FOREIGN, st.floats(0, 1))
def test_one_unknown_word_makes_it_another_calculation(question, foreign, where):
    words = question.split()
    words.insert(round(where * len(words)), foreign)
    assert isinstance(read_question(" ".join(words)), NotUnderstood)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seventeen", [17]),
        ("twenty one thousand three hundred five", [21_305]),
        ("two million", [2_000_000]),
        ("hundred", [100]),
        ("5 thousand", [5, 1000]),
        ("25kg", [25]),
        ("3.5, 4.", [3.5, 4]),
        (".5", [0.5]),
    ],
)
def test_numbers_are_found_in_text(text, values):
    terms = terms_of(text)
    assert terms is not None
    assert [term.value for term in terms if term.value is not None] == values


@pytest.mark.parametrize(
    "text", ["two three", "twenty fifteen", "hundred hundred", "thousand million", "3,4", "1.2.3", "²"]
)
def test_what_is_no_number_is_not_guessed_at(text):
    assert terms_of(text) is None


def test_folding_removes_accents_and_case():
    assert fold("São Tomé Łódź Ørsted STRASSE") == "sao tome lodz orsted strasse"
