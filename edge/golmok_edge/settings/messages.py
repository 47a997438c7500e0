"""Every sentence that the check of a settings file can say, in English and in Korean.

A message is what is wrong and what to do about it. The sentences hold no word that depends on what is filled
in: Korean particles would (gateway는, site은), so the filled-in part stands before a colon or in brackets.
Only wrong files need this; the gateway of a right one does not load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from golmok_edge.settings.language import Language, Say


class Message(NamedTuple):
    """What is wrong and what to do, as templates for `str.format`."""

    what: str
    do: str
    what_ko: str
    do_ko: str


def fill(template: str, args: Mapping[str, Any], language: Language) -> str:
    """The sentence, with pieces of the reader's language filled in first."""
    return template.format(**{name: _said(value, language) for name, value in args.items()})


def _said(value: Any, language: Language) -> str:
    if isinstance(value, Say):
        return fill(PHRASES[value.phrase][language == "ko"], value.args, language)
    return str(value)


PHRASES: Final[dict[str, tuple[str, str]]] = {
    "text": ("text", "글"),
    "whole": ("a whole number", "정수"),
    "number": ("a number", "수"),
    "switch": ("true or false", "true 또는 false"),
    "list": ("a list", "목록"),
    "table": ("a table", "표"),
    "date": ("a date or time", "날짜나 시각"),
    "nothing": ("nothing", "빈 값"),
    "or": ("{left} or {right}", "{left} 또는 {right}"),
    "one-of": ("one of {choices}", "다음 중 하나: {choices}"),
    "between": ("from {low} to {high}", "{low} 이상 {high} 이하"),
    "least": ("at least {low}", "{low} 이상"),
    "most": ("at most {high}", "{high} 이하"),
    "above": ("more than {low}", "{low} 초과"),
    "below": ("less than {high}", "{high} 미만"),
    "both": ("{left} and {right}", "{left}, {right}"),
    "any": ("anything", "아무 값"),
    "section": ("a section", "섹션"),
    "url-scheme": ("it does not begin with https:// or http://", "https://나 http://로 시작하지 않음"),
    "url-host": ("it names no host", "호스트가 없음"),
    "url-port": ("its port is not from 1 to 65535", "포트가 1~65535가 아님"),
    "url-user": ("name and password do not belong there, use token_file", "이름과 비밀번호 대신 token_file을 쓸 것"),
    "url-query": ("it has a part behind ? or #", "? 나 # 뒤가 있음"),
    "url-blank": ("there is a blank in it", "빈칸이 있음"),
    "url-form": ("it is not written as URLs are", "URL 형식이 아님"),
    "pipe": ("a pipe (FIFO)", "파이프(FIFO)"),
    "socket": ("a socket", "소켓"),
    "special": ("a device", "장치 파일"),
}
"""Pieces of sentences, in English and in Korean."""

MESSAGES: Final[dict[str, Message]] = {
    # --- the file itself ---------------------------------------------------------------------------------------
    "file-missing": Message(
        "there is no such file",
        "check the path after --config, or copy the example of docs/settings.md to this place",
        "이런 파일이 없습니다",
        "--config 뒤의 경로를 확인하거나 docs/settings.md의 예제를 이 자리에 복사하십시오",
    ),
    "file-dangling": Message(
        "this is a link to a file that does not exist ({target})",
        "create that file, or give the path of the settings file itself after --config",
        "없는 파일을 가리키는 링크입니다 ({target})",
        "그 파일을 만들거나 --config 뒤에 설정 파일의 경로를 직접 쓰십시오",
    ),
    "file-folder": Message(
        "this is a folder, not a file",
        "give the settings file in it, such as {example}",
        "파일이 아니라 폴더입니다",
        "그 안의 설정 파일을 쓰십시오. 예: {example}",
    ),
    "file-special": Message(
        "this is not a regular file but {kind}",
        "give the path of a text file after --config",
        "보통 파일이 아닙니다 ({kind})",
        "--config 뒤에 텍스트 파일의 경로를 쓰십시오",
    ),
    "file-unreadable": Message(
        "the file cannot be read: {why}",
        "let the user who runs this read it (chown or chmod), or run this as the user golmok runs as",
        "파일을 읽을 수 없습니다: {why}",
        "실행하는 사용자에게 읽기 권한을 주거나(chown, chmod) golmok을 돌리는 사용자로 실행하십시오",
    ),
    "file-empty": Message(
        "the file is empty",
        'write at least the section [site] with gateway = "gw-0001"',
        "파일이 비어 있습니다",
        '적어도 [site] 섹션과 gateway = "gw-0001"을 쓰십시오',
    ),
    "file-large": Message(
        "the file is larger than {most} bytes, which no settings file is",
        "check the path after --config",
        "파일이 {most}바이트보다 큽니다. 설정 파일일 수 없습니다",
        "--config 뒤의 경로를 확인하십시오",
    ),
    "file-utf16": Message(
        "the file is saved as UTF-16",
        'save it as UTF-8 (in Notepad: "Save as", Encoding "UTF-8")',
        "파일이 UTF-16으로 저장되어 있습니다",
        "UTF-8로 저장하십시오 (메모장: 다른 이름으로 저장, 인코딩 UTF-8)",
    ),
    "file-not-utf8": Message(
        "the file is not UTF-8 text: byte {offset} (column {column}) is {byte}",
        'save it as UTF-8 (in Notepad: "Save as", Encoding "UTF-8")',
        "파일이 UTF-8 글이 아닙니다: {offset}번째 바이트({column}열): {byte}",
        "UTF-8로 저장하십시오 (메모장: 다른 이름으로 저장, 인코딩 UTF-8)",
    ),
    # --- TOML --------------------------------------------------------------------------------------------------
    "syntax-no-equals": Message(
        "column {column}: a key must be followed by = and a value",
        'write key = value, such as name = "fridge"; a section stands in brackets: [site]',
        "{column}열: 키 다음에는 = 와 값이 와야 합니다",
        '키 = 값으로 쓰십시오. 예: name = "fridge". 섹션은 대괄호로: [site]',
    ),
    "syntax-value": Message(
        "column {column}: what stands after = is no value: {found}",
        'put text in double quotes ("…"); numbers, true and false (in small letters) stand without',
        "{column}열: = 다음이 값이 아닙니다: {found}",
        '글은 큰따옴표로 묶고("…") 수와 true, false(소문자)는 따옴표 없이 쓰십시오',
    ),
    "syntax-no-value": Message(
        "column {column}: there is no value after =",
        "write one, or put a # in front of the line",
        "{column}열: = 다음에 값이 없습니다",
        "값을 쓰거나 줄 앞에 #을 붙이십시오",
    ),
    "syntax-curly": Message(
        "column {column}: these quotes are curly, as word processors make them: {found}",
        'type straight ones: "…"',
        "{column}열: 워드 프로세서가 만드는 둥근 따옴표입니다: {found}",
        '곧은 따옴표로 다시 치십시오: "…"',
    ),
    "syntax-date": Message(
        "column {column}: there is no such date: {found}",
        "put text in double quotes; a date is written 2025-01-31",
        "{column}열: 없는 날짜입니다: {found}",
        "글은 큰따옴표로 묶으십시오. 날짜는 2025-01-31처럼 씁니다",
    ),
    "syntax-rest": Message(
        "column {column}: something is left over behind the value: {found}",
        'one key = value a line; put text in double quotes ("…") and a # before a remark; '
        "numbers have a decimal point, no zeros in front and no units behind",
        "{column}열: 값 뒤에 남은 것이 있습니다: {found}",
        '한 줄에 키 = 값 하나만 쓰십시오. 글은 큰따옴표로("…") 묶고 설명 앞에는 #을 붙이며 '
        "소수점은 . 이고, 수 앞에 0이나 뒤에 단위를 붙이지 마십시오",
    ),
    "syntax-header": Message(
        "column {column}: the brackets around the section's name are not closed",
        "write [site], or [[device]] with two brackets on either side",
        "{column}열: 섹션 이름의 대괄호가 닫히지 않았습니다",
        "[site]처럼, 장치는 [[device]]처럼 양쪽을 두 개씩 쓰십시오",
    ),
    "syntax-table-twice": Message(
        "this section stands twice, first on line {first}",
        "put its keys together under one heading; sections that may repeat have two brackets: [[device]]",
        "이 섹션이 두 번 나옵니다. 처음: {first}행",
        "키를 한 섹션에 모으십시오. 여러 번 쓸 수 있는 섹션은 대괄호가 두 개입니다: [[device]]",
    ),
    "syntax-key-twice": Message(
        "this key stands twice in its section, first on line {first}",
        "keep one of the two",
        "이 키가 한 섹션에 두 번 나옵니다. 처음: {first}행",
        "둘 중 하나만 남기십시오",
    ),
    "syntax-escape": Message(
        "column {column}: a backslash in text begins a special sign, and this is none",
        "write it twice (\\\\), or put the text in single quotes: '…'",
        "{column}열: 글 속의 역슬래시(\\)는 특수 문자의 시작인데 여기서는 아닙니다",
        "두 번 쓰거나(\\\\) 글을 작은따옴표로 묶으십시오: '…'",
    ),
    "syntax-no-quote": Message(
        "the text has no closing quote on this line",
        "put a quote of the same kind at its end: \"…\" or '…'",
        "이 줄에서 글의 따옴표가 닫히지 않았습니다",
        "글 끝에 같은 따옴표를 붙이십시오: \"…\" 또는 '…'",
    ),
    "syntax-no-end": Message(
        "the text that begins here with three quotes never ends",
        "put the same three quotes at its end",
        "여기서 따옴표 세 개로 시작한 글이 끝나지 않습니다",
        "글 끝에 같은 따옴표 세 개를 붙이십시오",
    ),
    "syntax-control": Message(
        "column {column}: there is an invisible control character",
        "delete it (retype the line)",
        "{column}열: 보이지 않는 제어 문자가 있습니다",
        "지우십시오 (그 줄을 다시 치십시오)",
    ),
    "syntax-key": Message(
        "column {column}: no key can begin here: {found}",
        "a key is made of a-z, 0-9, - and _; braces {{ }} open and close on one line, with no comma at the end",
        "{column}열: 여기서 키가 시작될 수 없습니다: {found}",
        "키는 a-z, 0-9, -, _로 씁니다. 중괄호 {{ }}는 한 줄에서 열고 닫으며 끝에 쉼표가 없어야 합니다",
    ),
    "syntax-statement": Message(
        "column {column}: this line is no section, key = value or # remark: {found}",
        "write [section], key = value (keys in a-z, 0-9, - and _), or put a # in front",
        "{column}열: 이 줄은 섹션도, 키 = 값도, # 설명도 아닙니다: {found}",
        "[섹션]이나 키 = 값(키는 a-z, 0-9, -, _)으로 쓰거나 앞에 #을 붙이십시오",
    ),
    "syntax-open-list": Message(
        "the list that begins here is not closed, or a comma is missing in it",
        "put commas between its values and ] at its end",
        "여기서 시작한 목록이 닫히지 않았거나 안에 쉼표가 빠졌습니다",
        "값 사이에 쉼표를, 끝에 ]를 쓰십시오",
    ),
    "syntax-open-table": Message(
        "the braces that begin here are not closed on the same line, or a comma is missing in them",
        "put commas between the keys and }} at the end of the same line",
        "여기서 시작한 중괄호가 같은 줄에서 닫히지 않았거나 안에 쉼표가 빠졌습니다",
        "키 사이에 쉼표를, 같은 줄 끝에 }}를 쓰십시오",
    ),
    "syntax-deep": Message(
        "brackets or dots are nested too deep",
        "settings need at most four levels; look for brackets that are not closed",
        "괄호나 점이 너무 깊이 겹쳐 있습니다",
        "설정은 네 단계면 충분합니다. 닫히지 않은 괄호를 찾으십시오",
    ),
    "syntax-long-number": Message(
        "a number has thousands of digits",
        "put text in double quotes",
        "수 하나의 자릿수가 수천 개입니다",
        "글이라면 큰따옴표로 묶으십시오",
    ),
    "syntax-other": Message(
        "column {column}: this is not TOML ({raw})",
        "compare the line with the example in docs/settings.md",
        "{column}열: TOML이 아닙니다 ({raw})",
        "docs/settings.md의 예제와 비교하십시오",
    ),
    # --- keys and types ----------------------------------------------------------------------------------------
    "unknown-section-near": Message(
        "there is no section called {name}",
        "did you mean {near}?",
        "이런 섹션이 없습니다: {name}",
        "혹시 {near} 아닙니까?",
    ),
    "unknown-section": Message(
        "there is no section called {name}",
        "remove it; there are {known}",
        "이런 섹션이 없습니다: {name}",
        "지우십시오. 있는 섹션: {known}",
    ),
    "key-outside": Message(
        "this key stands before every section",
        "move it below the line [{section}]",
        "이 키가 어느 섹션에도 들어 있지 않습니다",
        "[{section}] 줄 아래로 옮기십시오",
    ),
    "unknown-key-near": Message(
        "there is no key {name} here",
        "did you mean {near}?",
        "여기에는 이런 키가 없습니다: {name}",
        "혹시 {near} 아닙니까?",
    ),
    "unknown-key": Message(
        "there is no key {name} here",
        "remove it; there are {known}",
        "여기에는 이런 키가 없습니다: {name}",
        "지우십시오. 있는 키: {known}",
    ),
    "missing-section": Message(
        "the section [{name}] is missing",
        "write [{name}] and below it {example}",
        "섹션이 없습니다: [{name}]",
        "[{name}]을 쓰고 그 아래에 쓰십시오: {example}",
    ),
    "missing-key": Message(
        "the key {name} is missing",
        "write {example}",
        "키가 없습니다: {name}",
        "쓰십시오: {example}",
    ),
    "wrong-type": Message(
        "this is {kind} ({found}), it must be {wanted}",
        "write {example}",
        "값의 종류가 다릅니다: {kind} ({found}). 필요한 것: {wanted}",
        "쓰십시오: {example}",
    ),
    "not-finite": Message(
        "{found} is not a number one can use",
        "write {example}",
        "쓸 수 있는 수가 아닙니다: {found}",
        "쓰십시오: {example}",
    ),
    "single-brackets": Message(
        "every {name} needs two brackets on either side",
        "write [[{name}]]",
        "{name} 섹션은 대괄호가 양쪽에 두 개씩입니다",
        "쓰십시오: [[{name}]]",
    ),
    "double-brackets": Message(
        "there is only one section {name}, so it has one bracket on either side",
        "write [{name}]",
        "{name} 섹션은 하나뿐이라 대괄호도 양쪽에 하나씩입니다",
        "쓰십시오: [{name}]",
    ),
    "range": Message(
        "{found} is out of range; it must be {bounds}",
        "write {example}",
        "범위를 벗어났습니다: {found}. 허용: {bounds}",
        "쓰십시오: {example}",
    ),
    "length": Message(
        "its length is {found}; it must be {bounds}",
        "write {example}",
        "길이가 {found}입니다. 허용: {bounds}",
        "쓰십시오: {example}",
    ),
    "empty-text": Message(
        "the text is empty",
        "write {example}",
        "글이 비어 있습니다",
        "쓰십시오: {example}",
    ),
    "control-character": Message(
        "the text {found} holds a control character",
        "remove it",
        "글에 제어 문자가 있습니다: {found}",
        "지우십시오",
    ),
    "choice": Message(
        "{found} is none of {choices}",
        "write {example}",
        "다음에 없는 값입니다: {found}",
        "다음 중 하나를 쓰십시오: {choices}",
    ),
    "bad-name": Message(
        "{found} is no name: names are 1 to 32 of a-z, 0-9 and -, and do not begin with -",
        "write {example}",
        "이름이 될 수 없습니다: {found}. 이름은 a-z, 0-9, - 1~32자이고 -로 시작하지 않습니다",
        "쓰십시오: {example}",
    ),
    "pattern": Message(
        "{found} does not have the form {pattern}",
        "write {example}",
        "형식이 다릅니다: {found} (형식 {pattern})",
        "쓰십시오: {example}",
    ),
    "refused": Message(
        "{found} cannot be taken",
        "{why}",
        "받아들일 수 없습니다: {found}",
        "{why}",
    ),
    # --- sections ----------------------------------------------------------------------------------------------
    "time-zone-near": Message(
        "there is no time zone {found}",
        'write timezone = "{near}"',
        "이런 시간대가 없습니다: {found}",
        '쓰십시오: timezone = "{near}"',
    ),
    "time-zone": Message(
        "there is no time zone {found}",
        'write a name of the tz database such as timezone = "Asia/Seoul"',
        "이런 시간대가 없습니다: {found}",
        'tz 데이터베이스의 이름을 쓰십시오. 예: timezone = "Asia/Seoul"',
    ),
    "no-time-zones": Message(
        "this machine knows no time zones at all, so {found} cannot be checked or used",
        "install them: apt install tzdata",
        "이 기계에 시간대 자료가 없어 쓸 수 없습니다: {found}",
        "설치하십시오: apt install tzdata",
    ),
    "store-file": Message(
        "the store needs a folder, but {at} is a file",
        "give the path of a folder (it is made if it is not there), or move that file away",
        "저장소는 폴더여야 하는데 파일입니다: {at}",
        "폴더의 경로를 쓰거나(없으면 만듭니다) 그 파일을 옮기십시오",
    ),
    "store-dangling": Message(
        "{at} is a link to nowhere",
        "remove the link or create the folder it points to",
        "없는 곳을 가리키는 링크입니다: {at}",
        "링크를 지우거나 가리키는 폴더를 만드십시오",
    ),
    "store-not-writable": Message(
        "nothing may be written in {at}",
        "choose another folder, or let the user of the gateway write there (chown)",
        "여기에 쓸 권한이 없습니다: {at}",
        "다른 폴더를 고르거나 게이트웨이 사용자에게 쓰기 권한을 주십시오(chown)",
    ),
    "budgets": Message(
        "the budgets, with the shares of those left out, are {found} bytes; at most {most} leave room for orders",
        "lower them, or write max_bytes = {least}",
        "빠진 것의 몫까지 합한 예산이 {found} 바이트입니다; 주문이 들어갈 자리를 남기려면 {most} 이하여야 합니다",
        "예산을 줄이거나 max_bytes = {least} 로 쓰십시오",
    ),
    "path-impossible": Message(
        "no path can be like this: {why}",
        "write a shorter path without special characters",
        "있을 수 없는 경로입니다: {why}",
        "특수 문자가 없는 더 짧은 경로를 쓰십시오",
    ),
    "secret-missing": Message(
        "there is no file {at}",
        "create it with the password on one line, readable only by the gateway's user (chmod 600)",
        "파일이 없습니다: {at}",
        "비밀번호를 한 줄로 넣어 만들고 게이트웨이 사용자만 읽게 하십시오 (chmod 600)",
    ),
    "token-missing": Message(
        "there is no file {at} (yet), so the gateway has no token",
        "a cloud with --open-enrolment needs none; else put the token of golmok-cloud token --gateway there",
        "(아직) 파일이 없어 게이트웨이에 토큰이 없습니다: {at}",
        "--open-enrolment 클라우드라면 필요 없습니다. 아니면 golmok-cloud token --gateway 의 토큰을 넣으십시오",
    ),
    "key-file": Message(
        "the key cannot be taken from its file: {why}",
        "write its 32 hexadecimal digits on the only line of {at}, and run chmod 600 {at} as the gateway's user",
        "파일에서 키를 읽을 수 없습니다: {why}",
        "{at}에 키 32자리(16진수)를 한 줄로 쓰고, 게이트웨이 사용자로 실행하십시오: chmod 600 {at}",
    ),
    "secret-not-file": Message(
        "{at} is not a regular file",
        "give the path of a text file with one line",
        "보통 파일이 아닙니다: {at}",
        "한 줄짜리 텍스트 파일의 경로를 쓰십시오",
    ),
    "secret-unreadable": Message(
        "{at} cannot be read: {why}",
        "let the gateway's user read it (chown)",
        "읽을 수 없습니다: {at}: {why}",
        "게이트웨이 사용자가 읽을 수 있게 하십시오(chown)",
    ),
    "secret-content": Message(
        "{at} does not hold exactly one line of text",
        "write the password or token on its only line, at most {most} bytes of UTF-8",
        "글 한 줄이 들어 있지 않습니다: {at}",
        "비밀번호나 토큰을 한 줄로, UTF-8 {most}바이트 이내로 쓰십시오",
    ),
    "secret-open": Message(
        "{at} may be read by every user of this machine",
        "run chmod 600 {at}",
        "이 기계의 모든 사용자가 읽을 수 있습니다: {at}",
        "실행하십시오: chmod 600 {at}",
    ),
    "password-without-user": Message(
        "there is a password_file but no username",
        'write username = "golmok"',
        "password_file은 있는데 username이 없습니다",
        '쓰십시오: username = "golmok"',
    ),
    "host-is-url": Message(
        "{found} is more than a host's name or address",
        "write only the name, without mqtt:// and port: {example}",
        "호스트의 이름이나 주소만이 아닙니다: {found}",
        "mqtt://와 포트 없이 이름만 쓰십시오: {example}",
    ),
    "cloud-url": Message(
        "{found} is not the address of a cloud: {why}",
        'write url = "https://cloud.example.com" (or http:// with a port to try it out)',
        "클라우드의 주소가 아닙니다: {found} ({why})",
        '쓰십시오: url = "https://cloud.example.com" (시험용으로는 http://와 포트)',
    ),
    "cloud-plain": Message(
        "the token goes to {found} unencrypted, for everybody on the way to read",
        "write https:// instead of http://",
        "토큰이 암호화되지 않은 채 전송되어 누구나 볼 수 있습니다: {found}",
        "http:// 대신 https://로 쓰십시오",
    ),
    "listen-form": Message(
        "{found} is no address to listen on",
        'write host and port: listen = "127.0.0.1:8480"',
        "들을 주소가 아닙니다: {found}",
        '호스트와 포트를 쓰십시오: listen = "127.0.0.1:8480"',
    ),
    "listen-beyond": Message(
        "{found} is beyond this machine, and the owner's page has no login yet: everybody on the network could use it",
        'listen on this machine only: listen = "127.0.0.1:{port}"',
        "이 기계 밖에서도 열립니다: {found}. 아직 로그인이 없어 같은 망의 누구나 쓸 수 있게 됩니다",
        '이 기계에서만 여십시오: listen = "127.0.0.1:{port}"',
    ),
    "application-broken": Message(
        "the application {name} that reads this section does not load: {why}",
        "install it again, or remove the section",
        "이 섹션을 읽는 응용 프로그램이 열리지 않습니다: {name} ({why})",
        "다시 설치하거나 섹션을 지우십시오",
    ),
    # --- devices -----------------------------------------------------------------------------------------------
    "unknown-driver-near": Message(
        "no driver is called {found}",
        'did you mean "{near}"? (golmok-gateway devices list shows all)',
        "이런 드라이버가 없습니다: {found}",
        '혹시 "{near}" 아닙니까? (전체 목록: golmok-gateway devices list)',
    ),
    "unknown-driver": Message(
        "no driver is called {found}",
        "there are {known}",
        "이런 드라이버가 없습니다: {found}",
        "있는 드라이버: {known}",
    ),
    "driver-broken": Message(
        "the driver {found} does not load: {why}",
        "install it again in the version for this gateway",
        "드라이버가 열리지 않습니다: {found} ({why})",
        "이 게이트웨이에 맞는 판으로 다시 설치하십시오",
    ),
    "name-twice": Message(
        "the name {found} is taken by the device on line {first}",
        "give every device its own name: {example}",
        "이미 쓰는 이름입니다: {found} ({first}행의 장치)",
        "장치마다 다른 이름을 쓰십시오: {example}",
    ),
    "address-twice": Message(
        "the device {other} on line {first} has this address on the same bus",
        "read the address off the part, or remove one of the two",
        "같은 버스에서 이 주소를 쓰는 장치가 있습니다: {other} ({first}행)",
        "부품의 주소를 확인하거나 둘 중 하나를 지우십시오",
    ),
    "bus-missing": Message(
        "the driver {driver} needs a bus",
        "write {example}",
        "버스가 필요한 드라이버입니다: {driver}",
        "쓰십시오: {example}",
    ),
    "bus-form": Message(
        "{found} is not the URL of a bus",
        "write {example}",
        "버스의 URL이 아닙니다: {found}",
        "쓰십시오: {example}",
    ),
    "bus-other": Message(
        "the driver {driver} is for {wanted}, and this bus is {kind}",
        "write {example}, or another driver",
        "드라이버와 버스가 다릅니다: {driver} 드라이버는 {wanted}, 이 버스는 {kind}",
        "다른 드라이버를 쓰거나, 쓰십시오: {example}",
    ),
    "bus-needless": Message(
        "the driver {driver} listens to MQTT and has no bus of its own",
        "remove this line; the broker stands in [mqtt]. (To record it write 'record+mqtt://?to=trace.jsonl', to replay "
        "it 'replay+mqtt://trace.jsonl'.)",
        "MQTT를 듣는 드라이버라 버스가 없습니다: {driver}",
        "이 줄을 지우십시오. 브로커는 [mqtt]에 씁니다. (기록하려면 'record+mqtt://?to=trace.jsonl', "
        "재생하려면 'replay+mqtt://trace.jsonl')",
    ),
    "scenario-missing": Message(
        "there is no scenario file {at}",
        "create it, or write the real bus: {example}",
        "시나리오 파일이 없습니다: {at}",
        "만들거나 실제 버스를 쓰십시오: {example}",
    ),
    "i2c-address": Message(
        "{found} is no I2C address: those go from 0x08 to 0x77",
        "write {example} (`i2cdetect -y 1` shows who answers)",
        "I2C 주소가 아닙니다: {found}. 0x08부터 0x77까지입니다",
        "쓰십시오: {example} (`i2cdetect -y 1` 로 확인)",
    ),
    "i2c-other": Message(
        "{found} is none of the addresses that this part can have: {choices}",
        "write {example} (`i2cdetect -y 1` shows who answers)",
        "이 부품이 가질 수 없는 주소입니다: {found}. 가능한 주소: {choices}",
        "쓰십시오: {example} (`i2cdetect -y 1` 로 확인)",
    ),
    "w1-address": Message(
        "{found} is no 1-wire id: those are like 28-00000a1b2c3d (2 hex digits, -, 12 hex digits)",
        "copy it from the folder names in /sys/bus/w1/devices",
        "1-wire 주소가 아닙니다: {found}. 28-00000a1b2c3d 같은 모양입니다 (16진수 2자리, -, 12자리)",
        "/sys/bus/w1/devices 의 폴더 이름을 그대로 쓰십시오",
    ),
    "topic-form": Message(
        "{found} is no MQTT topic: {why}",
        "write {example}; + stands for one whole level, # for all the rest and only at the end",
        "MQTT 토픽이 아닙니다: {found}",
        "쓰십시오: {example}. +는 한 단계 전체, #은 맨 끝에서 나머지 전부를 뜻합니다",
    ),
    "topic-own": Message(
        "{found} takes in golmok/…, where the gateway itself writes: it would hear itself",
        "name the sensor's own topic, such as {example}",
        "게이트웨이가 쓰는 golmok/… 이 들어갑니다: {found}. 자기 말을 다시 듣게 됩니다",
        "센서의 토픽을 쓰십시오. 예: {example}",
    ),
    "unit-near": Message(
        "{found} is no UCUM unit",
        'write unit = "{near}"',
        "UCUM 단위가 아닙니다: {found}",
        '쓰십시오: unit = "{near}"',
    ),
    "unit": Message(
        "{found} is no UCUM unit that we know",
        'write a UCUM code such as unit = "Cel", "%", "W", "lx", or "1" for a plain number or state',
        "아는 UCUM 단위가 아닙니다: {found}",
        'UCUM 코드를 쓰십시오. 예: unit = "Cel", "%", "W", "lx", 단위가 없으면 "1"',
    ),
    "silence-short": Message(
        "expect_s ({expect}) is shorter than interval_s ({interval}): the device would always count as silent",
        "make expect_s at least {interval}, or leave it out",
        "expect_s({expect})가 interval_s({interval})보다 짧아 장치가 늘 침묵으로 보입니다",
        "expect_s를 {interval} 이상으로 하거나 빼십시오",
    ),
    "interval-needless": Message(
        "the driver {driver} is not asked at intervals: its device speaks by itself",
        "write expect_s instead (the longest silence that is still normal)",
        "주기적으로 묻지 않는 드라이버입니다: {driver}. 장치가 스스로 말합니다",
        "대신 expect_s를 쓰십시오 (정상인 가장 긴 침묵)",
    ),
    "limit-quantity-near": Message(
        "the device has no quantity {found}",
        "did you mean {near}?",
        "장치에 이런 양이 없습니다: {found}",
        "혹시 {near} 아닙니까?",
    ),
    "limit-quantity": Message(
        "the device has no quantity {found}",
        "remove it; there are {known}",
        "장치에 이런 양이 없습니다: {found}",
        "지우십시오. 있는 것: {known}",
    ),
    "limit-empty": Message(
        "a limit needs low or high",
        "write {example}",
        "한계에는 low나 high가 있어야 합니다",
        "쓰십시오: {example}",
    ),
    "limit-order": Message(
        "low ({low}) is not below high ({high}): every value would be an alarm",
        "make low smaller than high",
        "low({low})가 high({high})보다 작지 않아 모든 값이 경보가 됩니다",
        "low를 high보다 작게 하십시오",
    ),
    "limit-beyond": Message(
        "{found} {unit} can never be reached: the part measures {bounds}",
        "choose a limit within that range",
        "닿을 수 없는 한계입니다: {found} {unit}. 부품의 측정 범위: {bounds}",
        "그 범위 안에서 고르십시오",
    ),
    # --- rules -------------------------------------------------------------------------------------------------
    "rule-twice": Message(
        "the name {found} is taken by the rule on line {first}",
        "give every rule its own name",
        "이미 쓰는 이름입니다: {found} ({first}행의 규칙)",
        "규칙마다 다른 이름을 쓰십시오",
    ),
    "rule-channel-near": Message(
        "no device of this file has the channel {found}",
        "did you mean {near}?",
        "이 파일의 장치에 이런 채널이 없습니다: {found}",
        "혹시 {near} 아닙니까?",
    ),
    "rule-channel": Message(
        "no device of this file has the channel {found}",
        "write device.quantity; there are {known}",
        "이 파일의 장치에 이런 채널이 없습니다: {found}",
        "장치.양 꼴로 쓰십시오. 있는 것: {known}",
    ),
    "rule-output": Message(
        "there is no device {found} to switch",
        "write the name of a device that can be switched ({drivers}), or remove it",
        "켜고 끌 장치가 없습니다: {found}",
        "켜고 끌 수 있는 장치({drivers})의 이름을 쓰거나 지우십시오",
    ),
    "rule-empty": Message(
        "the rule says nothing yet about when it is an alarm",
        "write {example}",
        "언제 경보인지 규칙에 없습니다",
        "쓰십시오: {example}",
    ),
    "rule-kiln": Message(
        "most ({found}) is not above the hottest step ({hottest}): every firing would be an alarm",
        "make most larger",
        "most({found})가 가장 뜨거운 단계({hottest})보다 높지 않아 소성마다 경보가 됩니다",
        "most를 더 크게 하십시오",
    ),
    "rule-machine": Message(
        "running_above ({found}) is not above idle_above: the machine would never be idle",
        "make running_above larger",
        "running_above({found})가 idle_above보다 크지 않아 대기 상태가 없습니다",
        "running_above를 더 크게 하십시오",
    ),
    # --- calibrations ------------------------------------------------------------------------------------------
    "calibration-file": Message(
        "the calibrations cannot be read: {why}",
        "put back an earlier copy of this file, or move it away and calibrate again",
        "교정 파일을 읽을 수 없습니다: {why}",
        "이 파일의 이전 사본을 되돌리거나, 파일을 치우고 다시 교정하십시오",
    ),
    "calibration-channel": Message(
        "the calibration {id} is of a channel that no device has: {found}",
        "nothing uses it; if the device was renamed, calibrate {near} instead",
        "없는 채널의 교정입니다: {id} ({found})",
        "쓰이지 않습니다. 장치 이름이 바뀌었으면 {near} 채널을 교정하십시오",
    ),
    "calibration-expired": Message(
        "the calibration {id} of {found} was valid until {until}: its values are uncertain since then",
        "calibrate it again: golmok-gateway calibrate {device}",
        "교정 기한이 지나 값이 불확실합니다: {found} ({id}, {until}까지)",
        "다시 교정하십시오: golmok-gateway calibrate {device}",
    ),
}
"""Code -> what is wrong and what to do, in English and in Korean."""
