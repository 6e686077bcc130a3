from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hft.data.text_clusters import first_of_each, near_duplicate_clusters


def test_inherited_docstrings_with_small_changes_are_one_cluster() -> None:
    texts = [
        "Return the value of the option as a string, with all interpolations expanded in place.",
        "Close the connection to the server and free all resources held by it.",
        "Return the value of the option as a string, with all interpolations expanded.",
        "close the connection to the server, and free all resources held by it",
        "",
    ]
    clusters = near_duplicate_clusters(texts).tolist()
    assert clusters[0] == clusters[2]
    assert clusters[1] == clusters[3]
    assert len(set(clusters)) == 3
    assert first_of_each(clusters).tolist() == [0, 1, 4]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6).map(" ".join), max_size=8))
def test_two_texts_share_a_cluster_where_a_chain_of_overlaps_joins_them(texts: list[str]) -> None:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[start : start + 2]) for start in range(max(len(words) - 1, 1))}

    sets = [shingles(text) for text in texts]
    labels = list(range(len(texts)))
    for first, one in enumerate(sets):
        for second, other in enumerate(sets):
            if len(one & other) / len(one | other) >= 0.5:
                old, new = labels[second], labels[first]
                labels = [new if label == old else label for label in labels]
    clusters = near_duplicate_clusters(texts, shingle_words=2, threshold=0.5).tolist()
    for first in range(len(texts)):
        for second in range(len(texts)):
            assert (clusters[first] == clusters[second]) == (labels[first] == labels[second])
