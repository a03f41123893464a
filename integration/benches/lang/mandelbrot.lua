-- The same as mandelbrot.repy.
local function steps(x, y, limit)
  local a = 0.0
  local b = 0.0
  local n = 0
  while n < limit do
    local aa = a * a
    local bb = b * b
    if aa + bb > 4.0 then
      return n
    end
    b = 2.0 * a * b + y
    a = aa - bb + x
    n = n + 1
  end
  return limit
end

local function run(size, limit)
  local total = 0
  for row = 0, size - 1 do
    local y = 2.4 * row / size - 1.2
    for column = 0, size - 1 do
      total = total + steps(3.0 * column / size - 2.1, y, limit)
    end
  end
  return total
end

print(run(260, 220))
