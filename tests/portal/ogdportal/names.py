"""Names of places, markets, crops and varieties, made from a seed.

Spellings of states and the few districts, markets and crops listed by hand
are public and chosen for their defects (misspelt, trailing blanks, the same
name in two states).  All else is built from syllables, so no fetched file is
needed and no name means anything.
"""

# state, markets, rows a market brings on a full day: the proportions of a
# full day of the portal (Tamil Nadu alone is a third of it).
STATES = [
    ("Tamil Nadu", 178, 36),
    ("Uttar Pradesh", 220, 13),
    ("Kerala", 160, 10.5),
    ("Madhya Pradesh", 170, 7.5),
    ("Gujarat", 105, 8.5),
    ("Punjab", 100, 8.5),
    ("Haryana", 68, 10),
    ("Rajasthan", 68, 7),
    ("Himachal Pradesh", 30, 15),
    ("West Bengal", 58, 8),
    ("Karnataka", 50, 7),
    ("Maharashtra", 45, 7),
    ("Telangana", 35, 7),
    ("Uttrakhand", 20, 11),
    ("Assam", 15, 11),
    ("Odisha", 40, 4),
    ("Tripura", 12, 12),
    ("Jammu and Kashmir", 10, 10),
    ("Chattisgarh", 20, 4.5),
    ("Manipur", 6, 14),
    ("Andhra Pradesh", 20, 4),
    ("NCT of Delhi", 5, 12),
    ("Nagaland", 4, 6),
    ("Meghalaya", 4, 5.5),
    ("Bihar", 5, 3.5),
    ("Chandigarh", 1, 11),
    ("Goa", 1, 2),
]

# Districts with their known defects; the rest of a state is made up.
DISTRICTS = {
    "Andhra Pradesh": ["Chittor", "Kurnool"],
    "Rajasthan": [" Jhunjhunu", "Swai Madhopur", "Dhaulpur"],
    "Uttrakhand": ["UdhamSinghNagar", "Nanital", "Garhwal (Pauri)"],
    "Himachal Pradesh": ["Bilaspur", "Hamirpur"],
    "Uttar Pradesh": ["Hamirpur", "Pratapgarh", "Balrampur"],
    "Chattisgarh": ["Bilaspur", "Balrampur"],
    "Gujarat": ["Banaskanth", "Panchmahals", "Amreli"],
    "Karnataka": ["Shimoga", "Belgaum", "Tumkur", "Bangalore"],
    "Punjab": ["kapurthala", "Hoshiarpur"],
    "Odisha": ["Mayurbhanja"],
    "Kerala": ["Palakad", "Thiruvananthapuram"],
    "Telangana": ["Mahbubnagar", "Jagityal"],
    "Maharashtra": ["Dharashiv(Usmanabad)", "Buldana", "Sholapur"],
    "West Bengal": ["Sounth 24 Parganas"],
}

# Market names that exist in more than one state.
SHARED_MARKETS = {
    "Gorakhpur": ["Uttar Pradesh", "Madhya Pradesh"],
    "Jalalabad": ["Uttar Pradesh", "Punjab"],
    "Fatehpur": ["Uttar Pradesh", "Rajasthan", "Himachal Pradesh"],
    "Sirsa": ["Haryana", "Uttar Pradesh"],
    "Balugaon": ["Odisha", "Assam"],
}

# Markets whose names carry white space or commas that clients trip over.
DAMAGED_MARKETS = {
    "Modasar        ": "Gujarat",
    "Hadad    ": "Gujarat",
    "Thazhakkara  VFPCK": "Kerala",
    "New Grain Market , Sonipat": "Haryana",
    "Azadpur, New Subzi Mandi": "NCT of Delhi",
}

CROPS = """
Potato;Onion;Tomato;Brinjal;Green Chilli;Banana;Cauliflower;Cabbage;Wheat;Carrot;Rice;
Bhindi(Ladies Finger);Bottle gourd;Cucumbar(Kheera);Pumpkin;Bitter gourd;Ginger(Green);Apple;
Radish;Beetroot;Coriander(Leaves);Lemon;Papaya;Papaya (Raw);Banana - Green;
Paddy(Dhan)(Common);Maize;Bajra(Pearl Millet/Cumbu);Jowar(Sorghum);Mustard;Soyabean;Cotton;
Groundnut;Turmeric;Garlic;Guava;Mango;Mango (Raw-Ripe);Coconut;Tender Coconut;Drumstick;
Ridgeguard(Tori);Snakeguard;Sweet Potato;Tapioca;Yam (Ratalu);Elephant Yam (Suran);Peas Wet;
Cowpea (Veg);Cluster beans;Capsicum;Spinach;Methi(Leaves);Mint(Pudina);Pineapple;Pomegranate;
Grapes;Orange;Mousambi(Sweet Lime);Water Melon;Chikoos(Sapota);Arhar (Tur/Red Gram)(Whole);
Bengal Gram(Gram)(Whole);Green Gram (Moong)(Whole);Black Gram (Urd Beans)(Whole);
Lentil (Masur)(Whole);Sesamum(Sesame,Gingelly,Til);Castor Seed;Jaggery;Sugar;Cardamoms;
Black pepper;Arecanut(Betelnut/Supari);Rubber;Copra;Dry Chillies;Cummin Seed(Jeera);
Isabgul (Psyllium);Guar;Barley (Jau);Ragi (Finger Millet);Pea Pod/Pea Cod/\u0939\u0930\u0940 \u092e\u091f\u0930;Knool Khol;
Chow Chow;Colacasia;Indian Beans (Seam);French Beans (Frasbean);Raddish;Little gourd (Kundru);
Pointed gourd (Parval);Squash(Chappal Kadoo);Mashrooms;Rose(Loose);Marigold(loose);Jasmine;
Chrysanthemum(Loose);Hen;Goat;Cow;She Buffalo;Fish;Egg;Wood;Firewood;Bamboo""".replace(
    "\n", ""
).split(
    ";"
)

VARIETIES = [
    "Other",
    "Local",
    "Hybrid",
    "Desi",
    "Red",
    "White",
    "Medium",
    "Bold",
    "Deshi",
    "A-1, Green",
    "Big",
    "Dara",
    "1st Sort",
    "Pomogranate",
    "Soyabeen",
    "Other ",
]
GRADES = [
    ("FAQ", 495),
    ("Local", 386),
    ("Medium", 59),
    ("Non-FAQ", 45),
    ("Large", 14),
    ("Small", 4),
    ("Ref grade-1", 2),
    ("Grade A", 2),
    ("TD 1 (FAQ)", 1),
    ("TD 5 (Non-FAQ)", 1),
]

ONSETS = "b bh ch d dh g gh h j k kh l m n p r s sh t th v y".split()
VOWELS = "a a a i u e o aa".split()
CODAS = ["", "", "", "n", "r", "l", "m", "sh", "t"]
PLACE_ENDS = "pur nagar garh wadi abad ganj gaon palli pet ur kot khera halli cherry puram".split()
MARKET_ENDS = [
    ("", 70),
    (" VFPCK", 6),
    ("(Uzhavar Sandhai )", 6),
    (" (F&V)", 5),
    (" F&V", 4),
    (" New Grain Market", 2),
    ("(Veg Market)", 4),
    (" (Local)", 3),
]


def _syllable(rng):
    return rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)


def word(rng, syllables=2):
    """A capitalised word of so many syllables."""
    return "".join(_syllable(rng) for _ in range(syllables)).capitalize()


def place(rng):
    """A place name; one in four has a second word."""
    name = word(rng, rng.choice((1, 2, 2))) + rng.choice(PLACE_ENDS)
    return f"{name} {word(rng, 1)}" if rng.random() < 0.25 else name


def weighted(rng, pairs):
    """One of (value, weight) pairs."""
    return rng.choices([value for value, _ in pairs], [weight for _, weight in pairs])[0]


def fresh(make, taken, fold):
    """Call make() until its name is new under fold(), and take it.

    Names must stay distinct after clients trim and fold white space, or the
    seven-column key would no longer be unique.
    """
    while True:
        name = make()
        if fold(name) not in taken:
            taken.add(fold(name))
            return name


def folded(name):
    """What two names must differ in: letters, not blanks or case."""
    return "".join(name.split()).lower()
