"""The compiled shim, compressed, one text a machine. Made by `build.py` from `shim.c`; do not edit."""

from __future__ import annotations

SOURCE_SHA256 = "729514a8177dc3684e9a5badc787cb1f365cd10bceb6035561da723689503c4c"
SHIMS = {
    "x86_64": (
        "c-rk)Z)hAv6ra7zC2KCdTccuZYI8_J8~?1gX#&xrx%Bd9NK%@%#4ifhO>VDuG<O&8HZ>77N8_PKDnz9qHAoSJBK=VML1GcT*"
        "cMw5nifQ*Dn+YYsQ95`(rC>&v->95UG9vC{UF?f-QT`9@6G$|+u31eCOZ4NY#fJ}*wK?{O+&~B_?2L^wW4xzzY__XuLBjAYv"
        "pD{&<~BHreiK$KepM7DIoDGXO6Q$+;NCIzS)dE&Wt>S_y4E{%P0>ZYsF?{#xlU&B(5C&b75uL1Nn-*-#*Ta+-m*xdb0YYkQb"
        "HtP>R|rz~`lbZ=ZdoH~rI*v3Fi5#-q-_#VA}6`-UQRzKDGbxvB{x0qS=S?A2huYS;B6VE2MO1%*wsj`l065<7_EBT5WKqw)w"
        "fsFA1=4+Z6MlpIeE$-~2FXgEG}AOKCqI<oJZf_%uMLxrKHnxDaLGk!0F-EOeg80=*Rd%orLCUS51h}_+EKJrBMFl}16nkUk5"
        "it04=!n~%xPj#AdA*<={Qk|w+I7w7I`7@7Sd!mOp<Y+riXH`L3#F@{eZ0;g4q_g7=Jb9Ks(<xn$^6i=IhqUk0^!71*`P@;hm"
        "z#O@Yn*ZHB%NQM4~g!&mo>W6dvWFul0(2#4vDnU?s+^V;PmBD6=%Me7C*U0+(@o%w3{ilp2xEnm-hbf-rHwAI8s&b+u=rd=@"
        "&e=(uU`LufUBrFn0;hUTOZ|%R}GQ`ti~N&YZ_{H)(4%Zv0fr;>=w*a#@ROyo58oJYg?9ea2mvqJ;1ie?1#oBWU3FdaapX(8T"
        "Y}m4C}`Zn+I-<_Sl_?>tUlQSCTm*GYw@DW7>WpI<4Tbl#nw*7!P>H|o5qbYAZCThwmkw)E$1sa@nk&Q3F}mC#4D8&Wp2qGir"
        "a(7gJKF#hy?X8OB#@7&eV*%$El?eg~`uGYTY3-d}J3HgTL48cBvw+PbFJ44EQnBc=?7@Q<{H=8e>--Ea@fvc^m;HSx;t0A^c"
        "G!Kazpbi}_L8)}{?N0sIYbDoV(x(0Q?Ji-`*6s4xCMsP*yNkz8&F2~VKazZDlaH$V_?>90Ht!*%5}$J>pEq=$PUnFB(Bq{2o"
        "gi2ERzBZPeO*GAtER{8e2!0{wvF2#+*bbpDoII7Qj(ICq$K|<Ve9()ka_=9i_Gi)-&XQ*ZNUqRezqq~!D657;j++P33>~lld"
        "by=`!FiGy0v|$wqFBe>m#-&yBBcYX134T%sg5DcUbi0yw0DyO?71ZW2<z*i#`Py0z3%V?e{<K+1jBDM&y`BY7(17?;}$4LqT"
        "OwY8sUq!Gw^Q3@6ouDi0!Ye{56?%gHbjgX6K}cvMF<fy9I|EK>!ZMut@+s>&F-C*na_m651~1EGW*RRZB)VogJ0Bo<Kvaw0*"
        "tgtP-W8W|#q;;P=qU^0osp?EZ^#MJ+&UUWPxl5fJkI~!LFy~sQ+cuV{}(1*=3?pDz-&bR{O<9=wfS;jHLmIC{Fqcp(2)n*xo"
        "3~P$;XZA-SeurgTGu&s0-%udF*>HxT)yr<i{vzil3?H+^vw48wfUR&mlQxKN0{shz8Qn$d$FLioS(;+!MaXhq#ALt{UsG<z&"
        "kLNh7$rcrGKP6*_58?H*q^uH0jQnb^8d4QGj={^x5TkJs=(hm59Xk7t?T4}5uR6%W#Bx;Bm6yoCWj!u*J5Y!Th{r0oaH=+Nj"
        "Jn#t@Ho<1!4vRuK"
    ),
    "aarch64": (
        "c-rmMZ)_7~90%~<-F01IIttM+0=gT-sASebz@WaM>wsav022~kkaV|eVUu;6ZPm?9Er_zjH(M6tlE$Skf$%~Tjfv4X<c$fwA"
        "X_9P1_Kjy?_5S8HraYU*Zv-RcUcF<7~gz9N&D;byXViZ&pmhV?%uygRTPpm`jW~mqA<s+j%=8AkY9YSq1DA~6;-ya+8v4KvA"
        "_M|GhQfV#|w%p4)by&ihG>O<8nMM$NgmtbAK5FJo@0T>6lN%qyAFc8ym?TeH;&oaejJmL5^*_UZwxn$@R&o{JsA~)sFqiP!s"
        "vWl(BOwxX(LBZoGDO-}}FP)ITw_TrHZIX;ND%zl!wYPL|a>YIjm9<R7k(4^+rMDL!jNJ$-ywu5*43=XKujbDVGD{8i46%ZX0"
        "J)A61+sJAcPLy3gZXD8BKiFohvm@z=9fs|=<caz!OYo3hqCFj0tJYRWVO8cPtN_$`aALYEyb$`ow=ee(Q<elebZt&alb0VxR"
        "wB~~|J4bc3{#w1R{U|>{g+^AZ;e1e~;<aMiFWMU&?UkY(akOhiyQ9=z6!Y7U3F+%b7d0B4v#gIZM4u~^X}c?ax6_}`Ee>8fH"
        ">pLh-PUOHCXuhA%+!pgZB~@blsI8izl(nLKKg93U>z2(f)PDP`8$@i)~;`H@SF2?&Yt^DjmT?sK@W!W?Zq|1dBsOx%)CdV_I"
        "i44X6gqq*GzTf{LTEtRQs!6&ue>!r*i4(`CpXWe5UU9ygn4p(n9N)vT*83#HVGA><3eJpG)_?D)wo<`qR9qsm(BF=bML`vke"
        "PvV+{+ZuNW%j8-_)Hzo?-moL?NgT>MX}sNoN;^+D=ArMc_PiF$9<RIWG7^{S$VhJcps5cPg1YK@3GJ4B5eha%aCs4*=5&nse"
        "$cGX><z2+THedXGe3wjl87Z2G8IchYj+%>-W4{J0<jjHH#S=2cr`n2$#nxfuKLoHcT)N6`*O;M|PM$N`%2dB@FcEt?%J~Zdv"
        "o;E#uJR|D7CC-jr%VANA_y64%|L<Vyp_dQr+Py#8vj0HKKJngIuf5pF@6pah%i1O4_aeqb>@Qf>u>H(fmUYqd-c;UdBVYgH%"
        "KC@uX+!b3BHAFv9kVYs*9JdPCzO{~{(PgBnrn2C+95v2#PxHf>rJ2dC#qV;e5U9!E&JGGXGNcJcb};2(^!1Z62(Ma*ByN#W4"
        "<ogXOH|r0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "00000000000000000000000000000000000000000000000000000000000000008iRn$${h9k<5|N-?hIc7WsEg4Jusk<w+"
        "V;{2y-Df;Dne0?Riw{xuFSjUl<rCF;qfTy8$j*oDx=D3#J17&_zb=N89U*T!zty2BUf3%Oe!tyh>Ys<&hmX;Uvr*_3Vx{Mxu"
        "%hu4=P}4J8wmr>1i9)H)R63b9Iw*9a=k-vhk?N#SY@jDKkSN7;l0wONw_!K<S6_FULg{$F_)hl5jI=?acxUu@(n!Rkov~!OM"
        "WL>qu5{E$CXIpOY(}EX6btpHi(jRQI#MYLnZ1cbyeIwd_sc#H_ryJs_g$VV8Jjq-dd{KrD9@pK&Yg^Nj^m;&aXud7yy`i}GH"
        "&;*=e@g6h>y=PUY<i4>nhYQ^Uw15i053(*zOo#yTtfyT$8`j`SR2o^t7M%jF;~L8Hd&7$M59vTe-d0?~bcH{R5tTY~|l_nWK"
        "JpZ1jxxdD=%j<A?q3c(KCzQk3^q^St-Q3rqJ8c;ZRkJI(X_=XiWrao^T}XCKpCzr22v--9=;2U~x@GhV(&XL<aN`;0%$zvXz"
        "HcT(p&6u8g+o#pkLJb5|3zQXh4jM@_Kg`M1E<UY^eU!BE7E&"
    ),
}
