-- For wrk: requests of all kinds in turn, good and bad.
-- `wrk … <url> -- <good token> <another's token> <forged token> <stale token>`

local requests = {}
local turn = 0

local function add(times, method, path, token, fields, body)
   fields = fields or {}
   fields["Host"] = fields["Host"] or "acme.example.test"
   fields["Authorization"] = token and ("Bearer " .. token)
   local text = wrk.format(method, path, fields, body)
   for _ = 1, times do
      requests[#requests + 1] = text
   end
end

function init(arguments)
   local good, other, forged, stale = arguments[1], arguments[2], arguments[3], arguments[4]
   add(12, "GET", "/orders/1", good)
   add(2, "GET", "/orders/%40me?page=2", good, { ["Cookie"] = "a=1" })
   add(2, "HEAD", "/orders/1", good)
   add(4, "POST", "/orders/1", good, { ["Content-Type"] = "text/plain" }, string.rep("x", 2000))
   add(1, "PUT", "/strict/1", good, {}, "strict")
   add(1, "GET", "/limited", good)
   add(1, "GET", "/public/page")
   add(1, "GET", "/orders/1")
   add(1, "GET", "/orders/1", other)
   add(1, "GET", "/orders/1", forged)
   add(1, "GET", "/orders/1", stale)
   add(1, "GET", "/nowhere", good)
   add(1, "GET", "/orders/%2e%2e/admin", good)
   add(1, "OPTIONS", "/orders/1", good)
   add(1, "GET", "/orders/1", good, { ["Host"] = "globex.example.test" })
   add(1, "GET", "/orders/1", good, { ["X-Tenant-Id"] = "globex", ["X-Forwarded-For"] = "203.0.113.9" })
   add(1, "GET", "/orders/1", good, { ["X-HTTP-Method-Override"] = "DELETE" })
   add(1, "GET", "/orders/1", good, { ["X_Tenant_Id"] = "globex" })
   add(1, "GET", "/orders/1?status=503", good)
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end
