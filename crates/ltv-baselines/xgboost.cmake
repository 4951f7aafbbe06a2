# Read by CMake before XGBoost's own files (.cargo/config.toml names it).
# A library inside the program: a program with a shared one runs only where the library is found.
set(BUILD_STATIC_LIB ON CACHE BOOL "" FORCE)
# Its default build type adds symbols that are larger than the code.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -DNDEBUG" CACHE STRING "" FORCE)
