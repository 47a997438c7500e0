# ruff: noqa: E501  # a row of the table is a line
"""Every text of the operator's page, in every language it speaks; `{name}` is filled in by the page's script."""

from __future__ import annotations

from typing import Any, Final

from golmok_cloud_sync.web import FALSE, QUANTITIES, REASONS, TRUE, UNITS, Language, table

TEXTS: Final = table("""
    title            | 게이트웨이                             | Gateways
    operator         | 골목 클라우드                          | Golmok cloud
    language         | 언어                                   | Language
    needs_script     | 이 화면은 JavaScript가 있어야 보입니다. | This page needs JavaScript.
    all              | 전체                                   | All
    online           | 연결됨                                 | Online
    late             | 늦음                                   | Late
    never            | 아직 없음                              | Never seen
    filter           | 상태로 거르기                          | Filter by state
    search           | 게이트웨이 찾기                        | Find a gateway
    none_found       | 찾는 게이트웨이가 없습니다.            | No gateway fits.
    more             | {count}개 더 보기                      | Show {count} more
    backlog          | 대기 {count}                           | {count} waiting
    backlog_none     | 대기 없음                              | Nothing waiting
    backlog_name     | 보내기를 기다리는 기록                 | Records waiting to be sent
    last_contact     | 마지막 연락                            | Last contact
    last_values      | 마지막 값                              | Last values
    no_contact       | 연락 없음                              | No contact yet
    just_now         | 방금                                   | just now
    version          | 버전                                   | Version
    settings         | 설정                                   | Settings
    times_in         | 시각의 시간대                          | Times shown in
    pace             | 연락 간격                              | Calls every
    seconds          | {count}초                              | {count} s
    back             | 모든 게이트웨이                        | All gateways
    range            | 기간                                   | Time range
    range_1h         | 1시간                                  | 1 hour
    range_24h        | 24시간                                 | 24 hours
    range_7d         | 7일                                    | 7 days
    uncertain        | 확실하지 않음: {reason}                | Uncertain: {reason}
    bad              | 값을 믿을 수 없음: {reason}            | Bad: {reason}
    no_value         | 값 없음                                | no value
    no_channels      | 아직 받은 값이 없습니다.               | No values have arrived yet.
    unknown_gateway  | 이런 이름의 게이트웨이는 없습니다.     | There is no gateway of this name.
    time_unknown     | 시각 모름                              | Time not known
    offline          | 클라우드와 연결이 끊겼습니다           | The connection to the cloud is lost
    offline_more     | 아래는 마지막으로 받은 내용입니다. 다시 연결되면 저절로 이어집니다. | What you see is what arrived last. It goes on by itself when the connection is back.
    overloaded       | 클라우드가 몹시 바쁩니다               | The cloud is very busy
    overloaded_more  | 게이트웨이들에게 조금 뒤에 다시 보내라고 했습니다(429). 기록은 게이트웨이에 남아 있고, 없어지지 않습니다. 주문과 알림은 먼저 받습니다. | Gateways were told to send again a little later (429). They keep their records and nothing is lost. Orders and alarms are taken first.
    failed           | 클라우드가 답하지 못했습니다 ({status}) | The cloud could not answer ({status})
    token_title      | 열람 토큰이 필요합니다                 | A reader's token is needed
    token_how        | 서버에서 이 명령으로 만듭니다          | Make one on the server with
    token            | 토큰                                   | Token
    token_open       | 열기                                   | Open
    token_wrong      | 이 토큰으로는 열 수 없습니다.          | This token does not open it.
    empty_title      | 첫 게이트웨이를 연결해 주세요          | Connect the first gateway
    empty_1          | 게이트웨이의 설정 파일에 이 주소를 적습니다. | Write this address into the gateway's settings file.
    empty_token      | 이 클라우드는 토큰이 있어야 합니다. 서버에서 만들어 게이트웨이의 token_file에 넣습니다. | This cloud asks for tokens. Make one on the server and put it into the gateway's token_file.
    empty_2          | 게이트웨이를 시작합니다.               | Start the gateway.
    empty_3          | 처음 연락이 오면 여기에 저절로 나타납니다. | It shows up here by itself when it first calls.
    empty_demo       | 장치가 없으면 모의 장치로 해 볼 수 있습니다: | No hardware at hand? Try it with simulated devices:
    time             | 시각                                   | Time
    least            | 최저                                   | Least
    mean             | 평균                                   | Mean
    most             | 최고                                   | Most
    show_values      | 값을 표로 보기                         | Values as a table
    no_values        | 이 기간에는 값이 없습니다              | No values in this time
    gap              | 값 없음 – {reason}                     | No values – {reason}
    gap_line         | {reason} {from}–{to}                   | {reason} {from}–{to}
    gap_open         | {reason} {from}부터 계속               | {reason} since {from}
    lacks            | 값 {count}개가 빠짐                    | {count} readings missing
    show_gaps        | 빈 구간 {count}개                      | Gaps: {count}
    files            | 파일                                   | Files
    files_coming     | 더 올 파일 {count}개: {size} 가운데 {received} 도착 | {count} more to come: {received} of {size} here
    file_get         | 받기                                   | Download
    file_refused     | 파일을 받지 못했습니다. 다시 눌러 주세요. | The file did not come. Please press again.
    gaps_file        | 빈 구간을 CSV로 받기                   | Gaps as CSV
    range            | 최저 {least} · 최고 {most}             | Low {least} · high {most}
    alarms           | 경보                                   | Alarms
    raised           | 아직 아무도 확인하지 않음              | Nobody has seen it yet
    escalated        | 다시 알렸으나 아직 확인하지 않음       | Told again, nobody has seen it yet
    acknowledged     | 확인함:                                | Seen by
    seen_button      | 확인했습니다                           | I have seen it
    seen_as          | 운영자                                 | the operator
    seen_soon        | {by} 확인함, 게이트웨이에 알리는 중     | Seen by {by}, its gateway is being told
    seen_refused     | 지금은 알리지 못했습니다. 다시 눌러 주세요. | It could not be told now. Please press again.
    push             | 이 기기로 경보 받기                    | Tell this device of alarms
    push_stop        | 이 기기로 경보 그만 받기               | Stop telling this device
    push_refused     | 브라우저가 알림을 허락하지 않았습니다. | The browser did not allow it.
    chart_words      | 마지막 {now}, 최저 {least}, 최고 {most}, 빈 구간 {gaps}개 | Last {now}, least {least}, most {most}, {gaps} gaps
""")


def for_script(language: Language) -> dict[str, Any]:
    """What the page's script needs to speak `language`: the texts, and the words for what gateways send."""
    words = {"quantities": QUANTITIES, "reasons": REASONS, "when_false": FALSE, "when_true": TRUE}
    tables = {name: {key: row[language] for key, row in rows.items()} for name, rows in words.items()}
    return {**{key: row[language] for key, row in TEXTS.items()}, **tables, "units": dict(UNITS)}
