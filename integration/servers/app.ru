# SPDX-License-Identifier: MIT
# A Rack application: /bytes/N, /chunked/N (in pieces), /sum.
require 'digest'

some_bytes = lambda do |count|
  (0..count / 32).map { |i| Digest::SHA256.digest(i.to_s) }.join[0, count]
end

run(lambda do |env|
  word, count = env['PATH_INFO'].split('/')[1..2]
  case word
  when 'bytes' then [200, {}, [some_bytes.call(count.to_i)]]
  when 'chunked'
    data = some_bytes.call(count.to_i)
    [200, {}, (0...data.size).step(7001).map { |at| data[at, 7001] }]
  when 'sum'
    data = env['rack.input'].read
    [200, {}, ["#{Digest::SHA256.hexdigest(data)} #{data.size}\n"]]
  else [404, {}, []]
  end
end)
