-- SPDX-License-Identifier: MIT
-- wrk: one request per connection.
wrk.headers["Connection"] = "close"
