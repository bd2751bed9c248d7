"""What the judge listens to: sentences of English and Hindi, and pairs of Hindi sentences that differ in a word or a sound.

Written for this benchmark. Numbers stand in words, so that what is compared is pronunciation and not how each
contestant reads digits.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence.

    Attributes:
        text: What is sent to be spoken.
        script: The same in Devanagari, where ``text`` has words in Latin letters; what the judge compares with.
    """

    text: str
    script: str = ""

    @property
    def reference(self) -> str:
        """What is to be heard."""
        return self.script or self.text


ENGLISH: Final = (
    # News
    "The government announced a new plan to clean the rivers before the end of the year.",
    "Heavy rain has closed three roads in the north, and more is expected tonight.",
    "Scientists say the winter was the warmest since records began.",
    "The prime minister will meet business leaders on Thursday to talk about jobs.",
    "Fuel prices fell for the second week in a row.",
    "A fire broke out in an empty warehouse early this morning, but nobody was hurt.",
    "The national team won the final by four wickets in front of a full stadium.",
    "Doctors are asking people to drink more water during the heat.",
    "The new bridge will open to traffic next month, two years later than planned.",
    "Voters in five states go to the polls on Sunday.",
    # Telephone menus, banks, deliveries
    "Thank you for calling. Your call is important to us, so please stay on the line.",
    "To hear your account balance, press one. To speak to an agent, press nine.",
    "Your appointment is confirmed for Tuesday, the fourteenth of March, at half past ten.",
    "We could not process your payment because the card has expired.",
    "Please enter the last four digits of your phone number, followed by the hash key.",
    "Your order has been shipped and should arrive within three working days.",
    "For your security, this conversation may be recorded.",
    "The transfer of two thousand five hundred rupees was successful.",
    "All our agents are busy at the moment. You are number six in the queue.",
    "If you did not ask for this code, do not share it with anyone.",
    # Stories
    "Once upon a time there lived an old woman at the edge of a dark forest.",
    "He opened the letter slowly, read it twice, and put it back in the drawer.",
    "The dog barked at the stranger until its owner called it home.",
    "She had never seen the sea before, and she stood there for a long time without a word.",
    "When the lights went out, everyone began to laugh.",
    "My grandfather planted this mango tree the year my mother was born.",
    "The train slowed down, whistled, and stopped between two hills.",
    "Nobody believed the boy, because he had lied so many times before.",
    "They walked home in silence under a sky full of stars.",
    "The thief had left nothing behind except a single muddy shoe.",
    # Questions and talk
    "Could you tell me how to get to the railway station from here?",
    "What time does the museum close on weekdays?",
    "Why didn't you call me when you reached the airport?",
    "Would you like tea or coffee with your breakfast?",
    "How many people are coming to dinner tomorrow evening?",
    "Have you ever tried to learn a musical instrument?",
    "Are you sure that the window was locked when you left?",
    "I'm sorry, I didn't catch your name. Could you say it again?",
    "That's a wonderful idea! Let's start right away.",
    "Honestly, I would rather stay at home and read a book.",
    # Numbers, dates, names
    "The population of the city is about twelve million.",
    "She was born on the third of August, nineteen eighty seven.",
    "The temperature will reach forty one degrees by the afternoon.",
    "Chapter seven begins on page one hundred and sixty two.",
    "The recipe needs two cups of flour, three eggs and half a spoon of salt.",
    "Michael and Sarah moved from London to Chicago last spring.",
    "The flight from Delhi to Mumbai takes about two hours and ten minutes.",
    "Doctor Williams will see Mrs Johnson in room twenty three.",
    "Anna lives on the ninth floor, and her brother David lives on the second.",
    "Only seventeen of the forty students passed the first test.",
    # Explanations, and sounds that are easily lost
    "A battery stores energy by chemical means and gives it back as electricity.",
    "Plants use sunlight, water and carbon dioxide to make sugar.",
    "She sells fresh fish and cheese in the sixth shop on the left.",
    "You should back up your files before you install the update.",
    "The length of the shadow depends on the height of the sun.",
    "Three thin thieves thought a thousand thoughts.",
    "Fresh vegetables should be washed thoroughly and kept in a cool, dry place.",
    "The judge asked the witness to describe exactly what she had heard.",
    "Measure the width of the shelf twice, and then cut the wood once.",
    "If the engine makes a strange noise, switch it off and wait.",
)

HINDI: Final = tuple(
    Line(*parts)
    for parts in (
        # News
        ("प्रधानमंत्री ने आज नई दिल्ली में एक नई योजना की घोषणा की।",),
        ("उत्तर भारत के कई इलाकों में कल रात तेज़ बारिश हुई।",),
        ("सरकार ने किसानों के लिए राहत पैकेज का ऐलान किया है।",),
        ("भारतीय टीम ने आखिरी ओवर में मैच जीत लिया।",),
        ("शहर में पानी की कमी से लोग बहुत परेशान हैं।",),
        ("पेट्रोल और डीज़ल के दाम लगातार तीसरे दिन बढ़े।",),
        ("वैज्ञानिकों ने एक नए ग्रह की खोज की है।",),
        ("चुनाव आयोग ने मतदान की तारीखें घोषित कर दी हैं।",),
        ("पहाड़ों पर भारी बर्फ़बारी के कारण रास्ते बंद हो गए हैं।",),
        ("अस्पताल में मरीज़ों की संख्या धीरे-धीरे घट रही है।",),
        # Telephone menus, banks, deliveries
        ("कृपया थोड़ी देर प्रतीक्षा कीजिए, आपकी कॉल हमारे लिए महत्वपूर्ण है।",),
        ("आपके खाते में पाँच हज़ार रुपये जमा हो गए हैं।",),
        ("हिंदी में बात करने के लिए एक दबाइए।",),
        ("आपका ऑर्डर कल शाम तक आपके घर पहुँच जाएगा।",),
        ("अपना पिन नंबर किसी को भी न बताएँ।",),
        ("आपका भुगतान सफल रहा, धन्यवाद।",),
        ("अधिक जानकारी के लिए हमारी वेबसाइट पर जाइए।",),
        ("आपकी शिकायत दर्ज कर ली गई है, हम जल्द ही आपसे संपर्क करेंगे।",),
        ("बिल जमा करने की अंतिम तारीख पंद्रह अगस्त है।",),
        ("माफ़ कीजिए, मैं आपकी बात समझ नहीं पाया।",),
        # Stories
        ("एक समय की बात है, एक गाँव में एक गरीब किसान रहता था।",),
        ("जंगल का राजा शेर बहुत बूढ़ा हो गया था।",),
        ("दादी माँ हर रात हमें एक नई कहानी सुनाती थीं।",),
        ("बच्चे ने डरते-डरते दरवाज़ा खोला और अंदर झाँका।",),
        ("नदी के किनारे एक पुराना बरगद का पेड़ खड़ा था।",),
        ("लोमड़ी ने ऊपर देखा, पर अंगूर बहुत ऊँचे थे।",),
        ("उसकी आँखों में आँसू थे, लेकिन चेहरे पर मुस्कान थी।",),
        ("बुढ़िया ने चिड़िया को दाना खिलाया और पानी पिलाया।",),
        ("राजा ने मंत्री से पूछा कि सबसे बड़ा धन क्या है।",),
        ("सुबह होते ही पक्षी आकाश में उड़ गए।",),
        # Questions and talk
        ("क्या आप मुझे स्टेशन का रास्ता बता सकते हैं?",),
        ("तुम कल शाम को कहाँ गए थे?",),
        ("आपका नाम क्या है और आप कहाँ रहते हैं?",),
        ("यह किताब कितने की है?",),
        ("क्या तुमने खाना खा लिया?",),
        ("अगली गाड़ी कितने बजे आएगी?",),
        ("मुझे चाय पसंद है, लेकिन मेरी पत्नी कॉफ़ी पीती है।",),
        ("अरे वाह, यह तो बहुत अच्छी खबर है!",),
        ("मुझे नहीं लगता कि वह आज ऑफ़िस आएगा।",),
        ("चलिए, थोड़ी देर बगीचे में टहलते हैं।",),
        # Numbers, dates, names
        ("मेरे दादाजी की उम्र अठहत्तर साल है।",),
        ("इस कक्षा में पैंतीस विद्यार्थी पढ़ते हैं।",),
        ("दिल्ली से मुंबई की दूरी लगभग चौदह सौ किलोमीटर है।",),
        ("बैठक सोमवार को सुबह साढ़े दस बजे शुरू होगी।",),
        ("उनका जन्म उन्नीस सौ सैंतालीस में लाहौर में हुआ था।",),
        ("राहुल और प्रिया अगले महीने शादी करेंगे।",),
        ("महात्मा गांधी ने सत्य और अहिंसा का मार्ग दिखाया।",),
        ("इस मकान का किराया बारह हज़ार रुपये महीना है।",),
        ("ताजमहल आगरा में यमुना नदी के किनारे बना है।",),
        ("आज तापमान बयालीस डिग्री तक पहुँच गया।",),
        # English words, as they are said in India
        ("मेरा laptop आज बहुत slow चल रहा है।", "मेरा लैपटॉप आज बहुत स्लो चल रहा है।"),
        ("आपका order cancel कर दिया गया है।", "आपका ऑर्डर कैंसिल कर दिया गया है।"),
        ("कल की meeting के लिए report तैयार रखना।", "कल की मीटिंग के लिए रिपोर्ट तैयार रखना।"),
        ("अपना password किसी के साथ share मत कीजिए।", "अपना पासवर्ड किसी के साथ शेयर मत कीजिए।"),
        ("doctor ने मुझे एक हफ़्ते आराम करने को कहा है।", "डॉक्टर ने मुझे एक हफ़्ते आराम करने को कहा है।"),
        # Explanations, and sounds that are easily lost
        ("पौधे सूरज की रोशनी से अपना भोजन बनाते हैं।",),
        ("स्वस्थ रहने के लिए रोज़ व्यायाम करना ज़रूरी है।",),
        ("फलों और सब्ज़ियों को अच्छी तरह धोकर खाना चाहिए।",),
        ("घोड़ा, गधा और भेड़ घास खाते हैं।",),
        ("बढ़ई ने लकड़ी का एक छोटा डिब्बा बनाया।",),
    )
)

PAIRS: Final = (
    # What a caller has to get right
    ("आपकी बुकिंग सोमवार की है।", "आपकी बुकिंग मंगलवार की है।"),
    ("खाते में दो हज़ार रुपये हैं।", "खाते में दस हज़ार रुपये हैं।"),
    ("बाईं ओर मुड़िए।", "दाईं ओर मुड़िए।"),
    ("दुकान अभी खुली है।", "दुकान अभी बंद है।"),
    ("कृपया दस मिनट रुकिए।", "कृपया बीस मिनट रुकिए।"),
    ("यह रास्ता स्टेशन जाता है।", "यह रास्ता अस्पताल जाता है।"),
    ("आपका अनुरोध स्वीकार हुआ।", "आपका अनुरोध रद्द हुआ।"),
    ("अगली बैठक जून में होगी।", "अगली बैठक मार्च में होगी।"),
    ("वह दिल्ली में रहता है।", "वह मुंबई में रहता है।"),
    ("ट्रेन समय पर चलेगी।", "ट्रेन समय पर पहुँचेगी।"),
    ("वह कल सुबह आया।", "वह कल शाम आया।"),
    ("कमरे में पाँच लोग हैं।", "कमरे में पचास लोग हैं।"),
    ("कल सुबह आठ बजे आना।", "कल सुबह सात बजे आना।"),
    ("मेरे पास तीन रुपये हैं।", "मेरे पास तीस रुपये हैं।"),
    ("गाड़ी नौ बजे चलेगी।", "गाड़ी दो बजे चलेगी।"),
    # Everyday words
    ("मेरी बहन कल आएगी।", "मेरी बेटी कल आएगी।"),
    ("मुझे लाल रंग पसंद है।", "मुझे हरा रंग पसंद है।"),
    ("उसने नई किताब खरीदी।", "उसने नई कार खरीदी।"),
    ("मेरे पिता डॉक्टर हैं।", "मेरे पिता शिक्षक हैं।"),
    ("बच्चे मैदान में खेल रहे हैं।", "बच्चे मैदान में दौड़ रहे हैं।"),
    ("आज बहुत गर्मी है।", "आज बहुत सर्दी है।"),
    ("उसका छोटा भाई आया।", "उसका बड़ा भाई आया।"),
    ("मैं हिंदी बोलता हूँ।", "मैं हिंदी पढ़ता हूँ।"),
    ("मुझे ठंडा पानी चाहिए।", "मुझे गर्म पानी चाहिए।"),
    ("चाय में चीनी कम है।", "चाय में चीनी ज़्यादा है।"),
    ("यह काम आसान है।", "यह काम मुश्किल है।"),
    ("गाड़ी तेज़ चल रही है।", "गाड़ी धीरे चल रही है।"),
    ("मेरी माँ रसोई में है।", "मेरी माँ बगीचे में है।"),
    ("वह बाज़ार जाएगा।", "वह बाज़ार आएगा।"),
    ("आज कम लोग आए।", "आज काम लोग आए।"),
    # Words that rhyme, or share most of their sounds
    ("आज बहुत गरम दिन है।", "आज बहुत नरम दिन है।"),
    ("वहाँ चाय है।", "वहाँ छाया है।"),
    ("उसका धर्म अलग है।", "उसका दर्द अलग है।"),
    ("यहाँ ताला है।", "यहाँ टीला है।"),
    ("वह किताब पढ़ रहा है।", "वह किताब पकड़ रहा है।"),
    ("यह घड़ी मेरी है।", "यह घाटी मेरी है।"),
    ("वह लड़की है।", "वह लकड़ी है।"),
    ("उसने फल दिया।", "उसने फूल दिया।"),
    ("वहाँ चार हैं।", "वहाँ चोर हैं।"),
    ("वहाँ एक चूहा है।", "वहाँ एक चौराहा है।"),
    ("उसके पास तेल है।", "उसके पास ताल है।"),
    ("वह हँस रहा है।", "वह बस रहा है।"),
    ("पास में एक गाँव है।", "पास में एक गाय है।"),
    ("मेरी माँ आई है।", "मेरी मामी आई है।"),
    ("हमारी बस आ गई है।", "हमारी सास आ गई है।"),
    ("दुकान पर दूध मिलेगा।", "दुकान पर दूल्हा मिलेगा।"),
    ("यह कपड़ा नीला है।", "यह कपड़ा पीला है।"),
    ("मुझे पानी दीजिए।", "मुझे रानी दीजिए।"),
    ("पिताजी ने खत देखा।", "पिताजी ने खेत देखा।"),
    ("मेरे पास कलम है।", "मेरे पास कमल है।"),
    ("यह नमक अच्छा है।", "यह नाटक अच्छा है।"),
    ("यह मकान बंद है।", "यह दुकान बंद है।"),
    ("उसका बिल बड़ा है।", "उसका दिल बड़ा है।"),
    ("आपका नाम पूरा है।", "आपका काम पूरा है।"),
    ("राजा ने मंत्री को बुलाया।", "राजा ने संतरी को बुलाया।"),
    ("वह शहर बहुत बड़ा है।", "वह नहर बहुत बड़ा है।"),
    ("पानी बहुत ठंडा है।", "पानी बहुत गंदा है।"),
    ("सेब कहाँ है?", "जेब कहाँ है?"),
    ("बहुत रात हो गई।", "बहुत बात हो गई।"),
    ("लाल कुर्सी लाओ।", "चार कुर्सी लाओ।"),
)
"""One word is another one."""

CLOSE: Final = (
    # Voiced or voiceless
    ("उसने गाना शुरू किया।", "उसने खाना शुरू किया।"),
    ("यह बाल बहुत काला है।", "यह पाल बहुत काला है।"),
    ("सामने एक जाल है।", "सामने एक चाल है।"),
    ("वहाँ एक तार है।", "वहाँ एक द्वार है।"),
    # Aspirated or not
    ("मुझे दाल चाहिए।", "मुझे ढाल चाहिए।"),
    ("यह पल बहुत अच्छा है।", "यह फल बहुत अच्छा है।"),
    ("घर पर काना मिला।", "घर पर खाना मिला।"),
    ("उसने ताली बजाई।", "उसने थाली बजाई।"),
    ("वह भार बड़ा है।", "वह बार बड़ा है।"),
    ("उसका कर बहुत बड़ा है।", "उसका घर बहुत बड़ा है।"),
    ("दान दीजिए।", "ध्यान दीजिए।"),
    # Dental or retroflex, flapped or not
    ("उसने घड़ा खरीदा।", "उसने गधा खरीदा।"),
    ("वह सात दिन रुका।", "वह साठ दिन रुका।"),
    ("यह डाल सूखी है।", "यह दाल सूखी है।"),
    ("वह रोटी है।", "वह रोती है।"),
    ("यह मोती है।", "यह मोटी है।"),
    ("उसने गाड़ी दी।", "उसने गाली दी।"),
    # Vowels
    ("वह दिन अच्छा था।", "वह दान अच्छा था।"),
    ("वह कल बुरा था।", "वह काल बुरा था।"),
    ("वह मिल बंद है।", "वह मॉल बंद है।"),
    ("सड़क पर भीड़ है।", "सड़क पर भेड़ है।"),
    ("खेत में बेल है।", "खेत में बैल है।"),
    ("यह सुना है।", "यह सोना है।"),
    ("वह साँप है।", "वह साफ़ है।"),
)
"""One sound is another one: more than Whisper-base can tell in many cases, so they are counted by themselves."""
