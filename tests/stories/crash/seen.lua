-- For wrk: writes the id of every answer that was seen to its end, one per line, into a file per thread. Each thread has
-- Lua to itself, and nothing is kept in its memory. `wrk … <url> -- <file>`

local threads = 0

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

local file
local seen = 0

function init(arguments)
   file = assert(io.open(arguments[1] .. "." .. number, "w"))
end

function response(_, headers, _)
   file:write(headers["x-request-id"] or headers["X-Request-Id"] or "an answer without an id", "\n")
   seen = seen + 1
   if seen % 100 == 0 then
      file:flush() -- so that the story can count; the rest is flushed when wrk ends
   end
end
