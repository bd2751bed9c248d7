"""Sentences to read aloud for recording a voice; together they contain all sounds of a language."""

from typing import Final

SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        "The birch canoe slid on the smooth planks while a quick brown fox jumped over the lazy dog.",
        "She measured three cups of fresh yoghurt, and her father chose a thick slice of orange cheese.",
        "Every Thursday the children of our village gather by the old bridge to watch the boats go home.",
        "How would you judge a voice that is bold and warm, yet never loud, harsh or in a hurry?",
        "He took a usual route through the valley, though both the road and the weather were rough.",
        "My young cousin enjoys playing the violin, but his noisy brother would rather shout about football.",
        "Few people know why the blue bird sings at dawn; perhaps it is pleased that the night is over.",
        "Thank you for your patience: this is the last line, and there is nothing more to read today.",
    ),
    "hi": (
        "आज सुबह ठंडी हवा चल रही थी और आँगन में छोटे बच्चे झूला झूल रहे थे।",
        "मेरे दादाजी हर शाम खेत से लौटकर हमें पुराने ज़माने की कहानियाँ सुनाते थे।",
        "क्या आप बता सकते हैं कि डाकघर कहाँ है और वह कितने बजे तक खुला रहता है?",
        "घने जंगल में एक बूढ़ा शेर, चालाक लोमड़ी और भोला ऊँट साथ-साथ रहते थे।",
        "फूलों की खुशबू और पक्षियों की मीठी आवाज़ से सारा बगीचा भर गया।",
        "ज्ञान बाँटने से बढ़ता है, इसलिए पढ़ो, समझो और दूसरों को भी पढ़ाओ।",
        "बढ़ई ने लकड़ी का एक मज़बूत ढाँचा बनाया और उस पर गाढ़ा नीला रंग चढ़ाया।",
        "धन्यवाद, यह आख़िरी वाक्य है; अब थोड़ा ठहरिए और एक गिलास पानी पी लीजिए।",
    ),
}
"""Sentences by language, written for this purpose; the first half suffices."""

_FALLBACK: Final = "en"


def reading_script(language: str) -> tuple[str, ...]:
    """Return sentences to read aloud, which take about forty seconds.

    Args:
        language: BCP-47 tag; the fallback is English.
    """
    primary = language.lower().replace("_", "-").partition("-")[0]
    return SCRIPTS.get(primary, SCRIPTS[_FALLBACK])
