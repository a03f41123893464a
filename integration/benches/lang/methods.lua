-- The same as methods.repy: classes are tables, inherited methods are found by way of metatables.
local Base = {}
Base.__index = Base

function Base.init(self)
  self.value = 0
end

function Base:bump()
  self.value = self.value + 1
end

function Base:get()
  return self.value
end

local Child = setmetatable({}, { __index = Base })
Child.__index = Child

function Child.new(factor)
  local self = setmetatable({}, Child)
  Base.init(self)
  self.factor = factor
  return self
end

function Child:scale(n)
  return n * self.factor
end

local Modern = {}
Modern.__index = Modern

function Modern.new()
  return setmetatable({ value = 0 }, Modern)
end

function Modern:bump()
  self.value = self.value + 2
end

local function run(turns)
  local child = Child.new(3)
  local modern = Modern.new()
  local total = 0
  for i = 0, turns - 1 do
    child:bump()
    modern:bump()
    total = (total + child:scale(i) + child:get()) & 0xffffff
  end
  return total + modern.value
end

print(run(1000000))
