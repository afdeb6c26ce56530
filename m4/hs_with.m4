# hs_with.m4 - the one shape of an optional library: --with-NAME=yes|no|guess|DIR.
#
# HS_WITH(NAME, PACKAGES, WHAT): defines the option; sets hs_want_NAME to yes, no or guess and hs_dir_NAME to DIR or "".
# HS_MISSING(NAME, WHY, HOW TO GET IT): an explicit yes stops, a guess warns; sets hs_have_NAME=no.
# HS_TRY_LINK(VARIABLE, CFLAGS, LIBS, HEADERS, CALL, IF YES, IF NO): compiles and links for real, flags restored after.
AC_DEFUN([HS_WITH], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=yes|no|guess|DIR], [$2 (default: guess)])],
    [], [with_$1=guess])
  hs_dir_$1=
  AS_CASE([$with_$1],
    [yes|no|guess], [hs_want_$1=$with_$1],
    [hs_want_$1=yes; hs_dir_$1=$with_$1])
  hs_have_$1=no
  hs_why_$1="switched off by --with-$1=no"
])

AC_DEFUN([HS_MISSING], [
  hs_have_$1=no
  hs_why_$1="$2; $3"
  AS_IF([test "$hs_want_$1" = yes],
    [AC_MSG_ERROR([--with-$1 was asked for, but $2. To get it: $3])],
    [AC_MSG_WARN([$2. To get it: $3])])
])

AC_DEFUN([HS_TRY_LINK], [
  hs_saved_cflags=$CFLAGS hs_saved_libs=$LIBS
  CFLAGS="$CFLAGS $2" LIBS="$3 $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([$4], [$5])], [$1=yes], [$1=no])
  CFLAGS=$hs_saved_cflags LIBS=$hs_saved_libs
  AS_IF([test "$$1" = yes], [$6], [$7])
])
