"""Topics of texts: TF-IDF, reduced to a few dimensions, and k-means; each topic is named by its heaviest words.

A topic is a group of texts with like words, found without knowing what they mean; the name is a hint, not a definition.
Only English stop words are left out, so in other languages the names may hold articles and the like.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from muscle_core.errors import ConfigError

MOST_TOPICS = 12
_TEXTS_A_TOPIC = 100
_WORDS_IN_NAME = 3
_MOST_WORDS = 5_000
_DIMENSIONS = 50
_LONGEST = 5_000  # characters of a text that count
# Letters only: numbers are no topic.
_WORD = r"(?u)\b[^\W\d_][^\W\d_]+\b"


def topic_count(texts: int) -> int:
    """How many topics are looked for: one for every 100 different texts, at least 2 and at most 12."""
    return min(MOST_TOPICS, max(2, texts // _TEXTS_A_TOPIC))


def find_topics(texts: Iterable[str | None], topics: int | None = None, *, seed: int = 0) -> pd.Series:
    """The topic of each text, as a name of up to three words.

    The same texts get the same topics in any order. Texts without a usable word, and missing ones, get none.

    Args:
        texts: what to group.
        topics: how many groups; by default `topic_count` of the different texts.
        seed: of k-means and of the reduction.

    Returns:
        One name a text; missing where there is none. Numbered from 0, whatever the index of `texts`.

    Raises:
        ConfigError: fewer than 2 topics are asked for.
    """
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if topics is not None and topics < 2:
        raise ConfigError(f"samples are grouped into at least 2 topics; asked for {topics}")
    column = pd.Series(texts, dtype="str").reset_index(drop=True)
    distinct = sorted(column.dropna().unique())
    vectorizer = TfidfVectorizer(
        stop_words="english", token_pattern=_WORD, max_features=_MOST_WORDS, sublinear_tf=True, dtype=np.float64
    )
    try:
        weights = vectorizer.fit_transform([text[:_LONGEST] for text in distinct])
    except ValueError:  # no text holds a word that counts
        return pd.Series([None] * len(column), dtype="str")
    usable = np.flatnonzero(np.diff(weights.indptr))
    weights = weights[usable]
    count = min(topics or topic_count(len(usable)), len(usable))
    if weights.shape[1] > _DIMENSIONS and len(usable) > _DIMENSIONS:
        points = normalize(TruncatedSVD(_DIMENSIONS, random_state=seed).fit_transform(weights))
    else:
        points = weights.toarray()
    groups = KMeans(count, n_init=3, random_state=seed).fit_predict(points)
    names = _names(weights, groups, vectorizer.get_feature_names_out())
    of_text = pd.Series(None, index=pd.Index(distinct, dtype="str"), dtype="str")
    of_text.iloc[usable] = [names[group] for group in groups]
    return column.map(of_text).astype("str")


def _names(weights: object, groups: NDArray[np.int32], words: NDArray[np.object_]) -> dict[int, str]:
    """Each group's words of the highest mean weight; a number where two groups would have one name."""
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for group in sorted(set(groups.tolist()), key=lambda g: int(np.flatnonzero(groups == g)[0])):
        mean = np.asarray(weights[groups == group].mean(axis=0)).ravel()  # type: ignore[index]
        heaviest = np.lexsort((words, -np.round(mean, 12)))[:_WORDS_IN_NAME]
        name = ", ".join(str(words[place]) for place in heaviest if mean[place] > 0)
        taken[name] = taken.get(name, 0) + 1
        names[group] = name if taken[name] == 1 else f"{name} ({taken[name]})"
    return names
