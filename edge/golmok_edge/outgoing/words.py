# ruff: noqa: E501  (a row of the table is a line)
"""How it stands with what is sent, in the words of the page and of the command."""

from __future__ import annotations

from typing import Final

from golmok_cloud_sync.web import Language, table

TEXTS: Final = table("""
    sent             | 클라우드에 있습니다                   | In the cloud
    sending          | 보내는 중                             | Sending
    queued           | 차례를 기다립니다                     | Waits for its turn
    offline          | 인터넷을 기다립니다. 연결되면 저절로 이어집니다 | Waiting for the Internet; it goes on by itself
    busy             | 클라우드가 바쁩니다. 조금 뒤 저절로 이어집니다 | The cloud is busy; it goes on by itself
    refused          | 클라우드가 이 기기를 받아 주지 않습니다. 설치한 분에게 토큰(token_file)을 확인해 달라고 하세요 | The cloud does not let this device in: ask whoever installed it to look at its token (token_file)
    full             | 클라우드에 자리가 없습니다. 클라우드 운영자에게 알리세요. 자리가 나면 저절로 이어집니다 | There is no room in the cloud: tell its operator; it goes on by itself
    no-files         | 이 클라우드는 아직 파일을 받지 못합니다. 운영자에게 새 버전으로 올려 달라고 하세요 | This cloud takes no files yet: ask its operator for a newer version
    error            | 클라우드가 답을 잘못했습니다. 저절로 다시 해 봅니다 | The cloud failed at it; it is tried again by itself
    here             | 이 기기에 문제가 있습니다. 저절로 다시 해 봅니다 | Something is wrong on this device; it is tried again by itself
    failed-too-large | 파일이 너무 커서 보낼 수 없습니다. 삼각형 수를 줄이고(--triangles) 다시 보내세요 | A file is too large for the cloud: make it with fewer triangles (--triangles), and send it again
    failed-damaged   | 파일이 온전히 도착하지 않습니다. 모양 계산부터 다시 하고 보내세요 | A file does not arrive as it is: work out the shape anew, and send it again
    failed-gone      | 보낼 파일이 없어졌습니다. 다시 보내세요 | A file to be sent is gone: send it again
""")


def say(code: str, language: Language) -> str:
    """One of them."""
    return TEXTS[code][language]
