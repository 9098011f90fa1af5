#pragma once

#include <cstdint>
#include <string_view>

namespace sonicorn::http {

// What the server itself answers when an app does not: a status, a stable id, and a sentence that
// helps and shows nothing of what was sent.
struct Refusal {
  std::uint16_t status = 0;
  std::string_view id;
  std::string_view message;
};

// The reason phrase of RFC 9110 15, or "Unknown".
std::string_view reason_phrase(unsigned status);

namespace refusals {

inline constexpr Refusal kBadRequest{400, "http.bad_request", "the request is malformed"};
inline constexpr Refusal kBadRequestLine{400, "http.bad_request_line",
                                         "the request line is not METHOD SP TARGET SP HTTP/1.1"};
inline constexpr Refusal kBadTarget{400, "http.bad_target",
                                    "the request target is not a valid path or absolute URI"};
inline constexpr Refusal kBadField{400, "http.bad_field", "a header field is malformed"};
inline constexpr Refusal kBadLineEnding{400, "http.bad_line_ending",
                                        "every line of the head ends with CR LF"};
inline constexpr Refusal kBadHost{400, "http.bad_host", "exactly one valid Host field is required"};
inline constexpr Refusal kBadContentLength{400, "http.bad_content_length",
                                           "Content-Length is one decimal number"};
inline constexpr Refusal kBadTransferEncoding{
    400, "http.bad_transfer_encoding",
    "Transfer-Encoding is chunked, once, last, in HTTP/1.1, and without Content-Length"};
inline constexpr Refusal kBadChunk{400, "http.bad_chunk", "the chunked body is malformed"};
inline constexpr Refusal kNotFound{404, "http.not_found", "no app answers at this path"};
inline constexpr Refusal kTimeout{408, "http.timeout", "the request came too slowly"};
inline constexpr Refusal kBodyTooLarge{413, "http.body_too_large", "the body is over the limit"};
inline constexpr Refusal kTargetTooLong{414, "http.target_too_long",
                                        "the request line is over the limit"};
inline constexpr Refusal kBadExpectation{417, "http.bad_expectation",
                                         "the only expectation met here is 100-continue"};
inline constexpr Refusal kHeadTooLarge{
    431, "http.head_too_large", "a header field, their number or their sum is over the limit"};
inline constexpr Refusal kAppFailed{500, "http.app_failed", "the app failed"};
inline constexpr Refusal kUnknownCoding{501, "http.unknown_coding",
                                        "the only transfer coding known here is chunked"};
inline constexpr Refusal kNoConnect{501, "http.no_connect", "this server is not a proxy"};
inline constexpr Refusal kBusy{503, "http.busy", "the server is busy; try again"};
inline constexpr Refusal kDrained{503, "http.drained", "the app takes no requests now"};
inline constexpr Refusal kAppTooSlow{503, "http.app_too_slow", "the app did not answer in time"};
inline constexpr Refusal kBadVersion{505, "http.bad_version",
                                     "the versions spoken here are HTTP/1.0 and HTTP/1.1"};

}  // namespace refusals

}  // namespace sonicorn::http
