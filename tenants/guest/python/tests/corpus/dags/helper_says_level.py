from sdk_factory import make

made = make("helper_says_level")
