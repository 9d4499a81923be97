"""What ``--help`` says about where each behaviour comes from."""

from __future__ import annotations

import textwrap

from .faults import KINDS

SOURCES = """\
Point a connection at it: host http://127.0.0.1:8099/pixazo, /appypie, /segmind, /fal or
/replicate, any key as the password, and
"allow_private_hosts": ["127.0.0.1"] in the extra. The vendors' own host names are told apart by the Host header.

checked, from the documents
  Pixazo, pages on Mochi 1.0 and PixVerse   key header; seven submit routes with every field's type, range, list of
      values and whether it is required; 202 and its body; GET status with its fields; POST getStatus of Mochi in lower
      case; the bodies of 402 and of 400 for an unknown model; webhook headers, modes, bodies, both formats of time
  Appy Pie, page on Mochi 1   key header; submit and its fields; both getStatus prefixes; the body of every code in its
      table; {"msg": ...} while a job runs; {"status": "NOT_FOUND"}
  Segmind, page on Mochi 1 and its list of codes   x-api-key; v2 submit, status and result; FAILED as HTTP 422; 404
      after an hour; 406 without credits; v1 answering with the video; x-remaining-credits; ranges of all fields

taken from the vendor's own Python client (segmind 1.3.0) and public pages
  poll_url; the fields of a Segmind result; upload-asset; get-user-credits; the model mock-inference; credits taken for
  successful jobs only; x-cost and the other v1 headers; 406 for a wrong content type; x-rate-limit-reset-at-utc

  fal (fal-client 1.0.3, @fal-ai/client 1.10.1)   submit, status, result, cancel; failed jobs as COMPLETED with a 422
      result; error_type of a broken runner; the history by endpoint; uploads; the lifetime of outputs. Their own
      clients run against it
  Replicate (replicate 1.0.7)   predictions by model, version and deployment; cancel; deadlines (Cancel-After) that
      end as canceled or aborted; the list; files; data removed after an hour

invented, because no document says it
  fal, Replicate: the fields, schemas and prices of all models; how a cancelled fal job ends; the texts of errors;
      what is answered to a deadline or a lifetime that is none
  the body of a Pixazo 400 for a wrong field, and of 401, 403, 404, 429 and 500; refusal of fields that no document
  lists (Segmind ignores them); Appy Pie's words for a failed job; the texts of Segmind's errors; prices other than
  Pixazo's Mochi and V6 image-to-video; that FAILED is charged at Pixazo and Appy Pie (--no-charge-failed) and ERROR,
  which is documented, is not; which keys are bad; how often webhooks are repeated; queue and run times; the videos

It answers to loopback, to the vendors' own host names, to the address that it listens on and to --known-as. With
--state FILE it goes on after a restart, also after a kill -9, from what it had answered; faults that were asked for by
POST, changed settings, callbacks and uploads end with the process.

what happened: GET /_sim/ledger, /_sim/requests, /_sim/violations, /_sim/webhooks, /_sim/health
to steer it (with Content-Type: application/json):
               POST /_sim/images fetches every job's images as a vendor would, and says what it saw;
               POST /_sim/advance {"seconds": 3600}; POST /_sim/faults {"name": ..., "count": 1, "probability": 1,
               "vendor": null, "on": null}; DELETE /_sim/faults; POST /_sim/options {...}; POST /_sim/reset
               /media/_stream/<bytes>.mp4 is a valid file of any size; --webhook-route HOST=ADDRESS:PORT sends callbacks to
               a public https host to a receiver on this machine instead

faults: in the header X-Sim-Fault, or before a prompt as [[fault:name]], with :argument, @stage and *count after the
name; a count without a number is for ever. What refuses a submit counts until the prompt is accepted.
"""


def _faults() -> str:
    width = max(map(len, KINDS)) + 4
    rows = []
    for name, kind in KINDS.items():
        text = f"{kind.help} [{', '.join(kind.stages)}]"
        rows.append(textwrap.fill(f"  {name.ljust(width - 2)}{text}", 118, subsequent_indent=" " * width))
    return "\n".join(rows)


EPILOG = f"{SOURCES}\n{_faults()}\n"
