"""The columns of a resource, and the spellings their keys have had.

Inside the simulator a column has one logical id (lower case, as the daemon's
datasets use).  What a record's key is called depends on the `schema` setting:
the portal has used state/min_price, State/Min_Price and Min_x0020_Price for
the same thing, and renamed pollutant_avg to avg_value.
"""

from dataclasses import dataclass, field

TEXT, NUMBER, DATE, TIMESTAMP = "text", "number", "date", "timestamp"


@dataclass(frozen=True)
class Column:
    """`kind` is what the value means; `served` the type in the field block."""

    id: str
    kind: str = TEXT
    served: str = "keyword"
    nullable: bool = False
    least: int | None = None  # a smaller number is out of range
    spellings: dict = field(default_factory=dict, hash=False)
    name: str | None = None  # in the CSV header and field[].name

    def key(self, schema):
        """The JSON key under a schema."""
        return self.spellings.get(schema, self.id)


def _titled(column_id):
    return "_".join(part.capitalize() for part in column_id.split("_"))


def _mandi(column_id, kind=TEXT, served="keyword", **more):
    title = _titled(column_id)
    fed = title.replace("_Price", "_x0020_Price")
    return Column(
        column_id, kind, served, spellings={"lower": column_id, "title": title, "x0020": fed}, **more
    )


MANDI = (
    _mandi("state"),
    _mandi("district"),
    _mandi("market"),
    _mandi("commodity"),
    _mandi("variety"),
    _mandi("grade"),
    _mandi("arrival_date", DATE, "date"),
    _mandi("min_price", NUMBER, "double", nullable=True, least=0),
    _mandi("max_price", NUMBER, "double", nullable=True, least=0),
    _mandi("modal_price", NUMBER, "double", least=0),
)
MANDI_CODE = _mandi("commodity_code", TEXT, "keyword", nullable=True)
MANDI_KEY = ("state", "district", "market", "commodity", "variety", "grade", "arrival_date")
MANDI_SCHEMAS = ("lower", "title", "x0020")


def _pollutant(column_id):
    old = "pollutant_" + column_id.split("_")[0]
    return Column(column_id, NUMBER, "double", nullable=True, spellings={"pollutant": old})


AIR = (
    Column("country"),
    Column("state"),
    Column("city"),
    Column("station"),
    Column("last_update", TIMESTAMP, "date"),
    Column("latitude", NUMBER, "double", nullable=True),
    Column("longitude", NUMBER, "double", nullable=True),
    Column("pollutant_id"),
    _pollutant("min_value"),
    _pollutant("max_value"),
    _pollutant("avg_value"),
)
AIR_KEY = ("station", "pollutant_id", "last_update")
AIR_SCHEMAS = ("value", "pollutant")

PINCODE = (
    Column("circlename"),
    Column("regionname"),
    Column("divisionname"),
    Column("officename"),
    Column("pincode"),
    Column("officetype"),
    Column("delivery"),
    Column("district"),
    Column("statename"),
    Column("latitude", NUMBER, "keyword", nullable=True),
    Column("longitude", NUMBER, "keyword", nullable=True),
)
PINCODE_KEY = ("pincode", "officename", "divisionname", "district")
PINCODE_SCHEMAS = ("lower",)
