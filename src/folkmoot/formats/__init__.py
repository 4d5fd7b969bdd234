"""Reading and writing: other people's files -> Posts, Opinions, Tasks; our records -> their files."""

from folkmoot.formats.layouts import LAYOUTS, Imported, Layout, read_layout
from folkmoot.formats.lessons import read_lessons, write_lessons
from folkmoot.formats.opinion_tables import write_opinion_table
from folkmoot.formats.opinions import read_opinions, write_opinions
from folkmoot.formats.posts import iter_posts, read_posts, write_posts
from folkmoot.formats.preferences import read_pairs, write_pairs
from folkmoot.formats.tasks import load_task, shipped_tasks
from folkmoot.formats.verdicts import read_verdicts, write_verdicts

__all__ = [
    "LAYOUTS",
    "Imported",
    "Layout",
    "iter_posts",
    "load_task",
    "read_layout",
    "read_lessons",
    "read_opinions",
    "read_pairs",
    "read_posts",
    "read_verdicts",
    "shipped_tasks",
    "write_lessons",
    "write_opinion_table",
    "write_opinions",
    "write_pairs",
    "write_posts",
    "write_verdicts",
]
